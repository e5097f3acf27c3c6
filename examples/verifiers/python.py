"""Who calls? Verifies the token that Portunus sends with every request to this server. Needs PyPI PyJWT[crypto] 2."""

import hashlib
import json
from decimal import Decimal

import jwt


class Verifier:
    """`issuer` is the public URL of Portunus; `audience` is this server, as `servers.<name>.identity.audience` names it
    (by default its `url` there)."""

    def __init__(self, issuer: str, audience: str) -> None:
        self.issuer, self.audience = issuer, audience
        self.keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json", lifespan=300)

    def verify(self, authorization: str | None, message: dict | None = None) -> dict:
        """The claims of the caller of one request; raises for anything else. `authorization` is the header's value,
        `message` the JSON-RPC message in the body, if there is one."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise jwt.InvalidTokenError("no bearer token")
        if jwt.get_unverified_header(token).get("typ") != "at+jwt":
            raise jwt.InvalidTokenError("no access token")
        claims = jwt.decode(
            token,
            self.keys.get_signing_key_from_jwt(token).key,
            algorithms=["ES256"],
            issuer=self.issuer,
            audience=self.audience,
            leeway=5,
            options={"require": ["sub", "sub_id", "tenant_id", "client_id", "jti", "iat", "exp", "iss", "aud"]},
        )
        message = message or {}
        named = message.get("method") if "id" in message else None
        if claims.get("method") != named:
            raise jwt.InvalidTokenError("the token is for another method")
        judged = judged_of(message) if "request_digest" in claims else None
        if judged is not None and claims["request_digest"] != digest(judged):
            raise jwt.InvalidTokenError("the token is for other arguments")
        if named == "tools/call" and claims.get("tool") != message.get("params", {}).get("name"):
            raise jwt.InvalidTokenError("the token is for another tool")
        return claims


def judged_of(message: dict) -> dict | None:
    """What was judged of a message, and so what `request_digest` is a digest of."""
    params = message.get("params", {})
    match message.get("method"):
        case "tools/call" | "prompts/get":
            return params.get("arguments", {})
        case "resources/read" | "resources/subscribe" | "resources/unsubscribe":
            return {"uri": params["uri"]}
        case "subscriptions/listen":
            return {"uri": params["notifications"]["resourceSubscriptions"][0]}
        case "completion/complete":
            return {"uri": params["ref"]["uri"]} if params["ref"]["type"] == "ref/resource" else {}
    return None


def digest(value: object) -> str:
    """SHA-256 of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def canonical(value: object) -> str:
    """RFC 8785: no white space, members in the order of their names' UTF-16 code units, numbers as ECMAScript prints them."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(value)
    return json.dumps(value, ensure_ascii=False)


def number(value: float) -> str:
    """ECMA-262, Number::toString."""
    sign, all_digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    digits, minus = "".join(map(str, all_digits)), "-" if sign else ""
    point = len(digits) + exponent
    if digits == "0":
        return "0"
    if len(digits) <= point <= 21:
        return minus + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{minus}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{minus}{digits[0]}{fraction}e{point - 1:+d}"
