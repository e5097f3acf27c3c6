// Who calls? Verifies the token that Portunus sends with every request to this server. Needs
// github.com/golang-jwt/jwt/v5 and github.com/MicahParks/keyfunc/v3.
package verifiers

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// Claims are those of docs/identity-downstream.md that most servers need.
type Claims struct {
	jwt.RegisteredClaims
	TenantID string   `json:"tenant_id"`
	Roles    []string `json:"roles"`
	ClientID string   `json:"client_id"`
	Call     string   `json:"txn"`
	Tool     string   `json:"tool"`
	Actor    *struct {
		Subject string `json:"sub"`
	} `json:"act"`
}

// Verifier returns a function that verifies one request. issuer is the public URL of Portunus; audience is this server,
// as servers.<name>.identity.audience names it.
func Verifier(issuer, audience string) (func(*http.Request) (*Claims, error), error) {
	keys, err := keyfunc.NewDefault([]string{issuer + "/.well-known/jwks.json"})
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(5*time.Second))
	return func(request *http.Request) (*Claims, error) {
		token, found := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer ")
		if !found {
			return nil, errors.New("no bearer token")
		}
		claims := new(Claims)
		parsed, err := parser.ParseWithClaims(token, claims, keys.Keyfunc)
		if err != nil {
			return nil, err
		}
		if parsed.Header["typ"] != "at+jwt" || claims.Subject == "" || claims.TenantID == "" {
			return nil, errors.New("no access token")
		}
		return claims, nil
	}, nil
}
