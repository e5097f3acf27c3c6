"""One token at PyJWT, by the verifier that is shown to owners of servers: says the caller, or why it is refused."""

import json
import sys

sys.path.insert(0, sys.argv[1])
from python import Verifier  # noqa: E402

given = json.loads(sys.argv[2])
try:
    print(Verifier(given["issuer"], given["audience"]).verify(given.get("authorization"), given.get("message"))["sub"])
except Exception as error:
    print(f"refused: {error!r}")
