"""Token endpoints, federation, client secrets, personal access tokens."""

import base64
import http.server
import datetime
import ipaddress
import json
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from databricks.sdk import AccountClient, WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied
from databricks.sdk.service import oauth2

from conftest import ACCOUNT, WORKSPACE, running

SUBJECT = "system:serviceaccount:lockstep:dbx"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """An issuer of tokens with a key of its own, which publishes it the way Kubernetes does."""

    def __init__(self, tls=None):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self.key.public_key().public_numbers()
        number = lambda value: b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))
        self.jwks = {"keys": [
            {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1", "n": number(numbers.n), "e": number(numbers.e)}
        ]}
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answers = {
                    "/.well-known/openid-configuration": {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/openid/v1/jwks"},
                    "/openid/v1/jwks": issuer.jwks,
                }
                body = json.dumps(answers.get(self.path, {})).encode()
                self.send_response(200 if self.path in answers else 404)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self, key=None, **claims):
        claims = {"iss": self.url, "sub": SUBJECT, "aud": [ACCOUNT], "exp": int(time.time()) + 600} | claims
        header = {"alg": "RS256", "kid": "k1", "typ": "JWT"}
        text = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
        return f"{text}.{b64((key or self.key).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


@pytest.fixture(scope="module")
def issuer():
    issuer = Issuer()
    yield issuer
    issuer.server.shutdown()


@pytest.fixture
def sp(w, a, sim):
    made = w.service_principals.create(display_name="lockstep")
    return made


def exchange(sim, jwt, client, endpoint="/oidc/v1/token"):
    """Status and body of a token exchange."""
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "subject_token": jwt,
        "scope": "all-apis",
    } | ({"client_id": client} if client else {})
    import requests

    answer = requests.post(f"{sim.url}{endpoint}", data=form, timeout=30)
    return answer.status_code, answer.json()


def test_discovery(sim):
    import requests

    config = requests.get(f"{sim.url}/.well-known/databricks-config", timeout=5).json()
    assert config["account_id"] == ACCOUNT and config["workspace_id"] == str(WORKSPACE)
    server = requests.get(f"{sim.url}/oidc/.well-known/oauth-authorization-server", timeout=5).json()
    assert server["token_endpoint"] == f"{sim.url}/oidc/v1/token"


def test_a_client_secret_opens_the_workspace(sim, w, sp):
    secret = w.service_principal_secrets_proxy.create(sp.id, lifetime="3600s")
    assert secret.secret and secret.status == "ACTIVE"
    mine = WorkspaceClient(host=sim.url, client_id=sp.application_id, client_secret=secret.secret, auth_type="oauth-m2m")
    assert mine.current_user.me().user_name == sp.application_id
    w.service_principal_secrets_proxy.delete(sp.id, secret.id)
    refused = WorkspaceClient(host=sim.url, client_id=sp.application_id, client_secret=secret.secret, auth_type="oauth-m2m")
    with pytest.raises(Exception, match="invalid_client"):
        refused.current_user.me()


def test_a_client_secret_opens_the_account(sim, a, sp):
    secret = a.service_principal_secrets.create(sp.id)
    sim.seed(servicePrincipals=[{"applicationId": sp.application_id, "accountAdmin": True}])
    mine = AccountClient(
        config=Config(
            host=sim.url, account_id=ACCOUNT, client_id=sp.application_id, client_secret=secret.secret,
            auth_type="oauth-m2m",
            discovery_url=f"{sim.url}/oidc/accounts/{ACCOUNT}/.well-known/oauth-authorization-server",
        )
    )
    assert [one.id for one in mine.service_principals.list()] == [sp.id]


def test_secrets_are_listed_without_values_and_at_most_five(a, w, sp):
    made = [a.service_principal_secrets.create(sp.id) for _ in range(5)]
    with pytest.raises(BadRequest):
        a.service_principal_secrets.create(sp.id)
    assert {row.id for row in w.service_principal_secrets_proxy.list(sp.id)} == {row.id for row in made}
    assert not any(hasattr(row, "secret") for row in a.service_principal_secrets.list(sp.id))
    a.service_principal_secrets.delete(sp.id, made[0].id)
    with pytest.raises(NotFound):
        a.service_principal_secrets.delete(sp.id, made[0].id)
    with pytest.raises(BadRequest):
        a.service_principal_secrets.create(sp.id, lifetime="99999999999s")


def policy(issuer, **more):
    return oauth2.FederationPolicy(
        oidc_policy=oauth2.OidcFederationPolicy(issuer=issuer.url, **({"subject": SUBJECT} | more))
    )


def test_federation_policies_live_a_full_life(a, sp, issuer):
    api, number = a.service_principal_federation_policy, int(sp.id)
    made = api.create(number, policy(issuer), policy_id="k8s")
    assert made.policy_id == "k8s" and made.service_principal_id == number and made.oidc_policy.audiences == [ACCOUNT]
    assert [row.policy_id for row in api.list(number)] == ["k8s"]
    changed = api.update(number, "k8s", oauth2.FederationPolicy(description="ours"), update_mask="description")
    assert changed.description == "ours" and api.get(number, "k8s").oidc_policy.subject == SUBJECT
    with pytest.raises(BadRequest):
        api.create(number, policy(issuer, subject=None))
    api.delete(number, "k8s")
    with pytest.raises(NotFound):
        api.get(number, "k8s")
    wide = a.federation_policy.create(policy(issuer, subject=None, subject_claim="email"))
    assert [row.uid for row in a.federation_policy.list()] == [wide.uid]
    with pytest.raises(BadRequest):
        a.federation_policy.create(policy(issuer))
    a.federation_policy.delete(wide.policy_id)


def test_a_foreign_token_becomes_a_workspace_token(sim, a, sp, issuer):
    a.service_principal_federation_policy.create(int(sp.id), policy(issuer))
    status, body = exchange(sim, issuer.token(), sp.application_id)
    assert status == 200 and body["token_type"] == "Bearer" and body["expires_in"] == 3600
    assert sim.workspace(body["access_token"]).current_user.me().user_name == sp.application_id
    # Its own policies do not open the account to it as an administrator.
    status, body = exchange(sim, issuer.token(), sp.application_id, f"/oidc/accounts/{ACCOUNT}/v1/token")
    assert status == 200
    with pytest.raises(PermissionDenied):
        list(sim.account(body["access_token"]).groups.list())


def test_the_sdk_federates_from_a_file(sim, a, sp, issuer, tmp_path):
    a.service_principal_federation_policy.create(int(sp.id), policy(issuer))
    path = tmp_path / "token"
    path.write_text(issuer.token())
    mine = WorkspaceClient(
        config=Config(host=sim.url, client_id=sp.application_id, oidc_token_filepath=str(path), auth_type="file-oidc")
    )
    assert mine.current_user.me().user_name == sp.application_id


def certificates(folder):
    """A certificate authority of our own, and a server certificate for 127.0.0.1, the way a local cluster has them."""
    now = datetime.datetime.now(datetime.timezone.utc)
    name = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def certificate(subject, key, issuer, signer, *extensions):
        builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=1))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    keys = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
    authority = folder / "ca.pem"
    authority.write_bytes(certificate("ca", keys[0], "ca", keys[0], x509.BasicConstraints(ca=True, path_length=None)))
    server = folder / "server.pem"
    pem = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server.write_bytes(
        pem
        + certificate(
            "server", keys[1], "ca", keys[0],
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]),
        )
    )
    return authority, server


def test_the_authority_of_a_local_cluster_can_be_trusted(sim, tmp_path):
    authority, server = certificates(tmp_path)
    issuer = Issuer(tls=server)
    with running("--ca-file", authority) as trusting:
        for one, status in ((trusting, 200), (sim, 400)):
            sp = one.workspace().service_principals.create(display_name="lockstep")
            one.account().service_principal_federation_policy.create(int(sp.id), policy(issuer))
            assert exchange(one, issuer.token(), sp.application_id)[0] == status
    issuer.server.shutdown()


def test_keys_may_be_pasted_into_the_policy(sim, a, sp, issuer):
    a.service_principal_federation_policy.create(int(sp.id), policy(issuer, jwks_json=json.dumps(issuer.jwks)))
    assert exchange(sim, issuer.token(), sp.application_id)[0] == 200


def test_tokens_that_no_policy_accepts(sim, a, w, sp, issuer):
    a.service_principal_federation_policy.create(int(sp.id), policy(issuer))
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = issuer.token()
    head, _, tail = good.split(".")
    forged = b64(json.dumps({"iss": issuer.url, "sub": SUBJECT, "aud": [ACCOUNT], "exp": int(time.time()) + 9999}).encode())
    unsigned = b64(b'{"alg":"none"}') + "." + forged + "."
    for jwt in (
        issuer.token(key=stranger),
        issuer.token(exp=int(time.time()) - 1),
        issuer.token(aud=["somebody-else"]),
        issuer.token(sub="system:serviceaccount:other:dbx"),
        issuer.token(iss="https://elsewhere.example.com"),
        f"{head}.{forged}.{tail}",
        unsigned,
        "nonsense",
    ):
        status, body = exchange(sim, jwt, sp.application_id)
        assert status == 400 and body["error"] == "invalid_grant", body
    assert exchange(sim, good, "00000000-0000-0000-0000-000000000000")[0] == 401
    assert exchange(sim, good, None)[0] == 400
    other = w.service_principals.create(display_name="other")
    assert exchange(sim, good, other.application_id)[0] == 400


def test_an_account_wide_policy_takes_the_subject_for_a_name(sim, a, issuer):
    a.federation_policy.create(policy(issuer, subject=None))
    status, body = exchange(sim, issuer.token(sub="admin@example.com"), None)
    assert status == 200
    assert sim.workspace(body["access_token"]).current_user.me().user_name == "admin@example.com"


def test_tokens_run_out(sim, a, sp, issuer):
    a.service_principal_federation_policy.create(int(sp.id), policy(issuer))
    _, body = exchange(sim, issuer.token(), sp.application_id)
    sim.settings(clockOffset=3601)
    with pytest.raises(PermissionDenied):
        sim.workspace(body["access_token"]).current_user.me()


def test_personal_access_tokens(sim, w):
    made = w.tokens.create(comment="mine", lifetime_seconds=60)
    assert sim.workspace(made.token_value).current_user.me().user_name == "admin@example.com"
    assert [row.token_id for row in w.tokens.list()] == [made.token_info.token_id]
    assert [row.token_id for row in w.token_management.list()] == [made.token_info.token_id]
    w.tokens.delete(made.token_info.token_id)
    with pytest.raises(PermissionDenied):
        sim.workspace(made.token_value).current_user.me()
    with pytest.raises(NotFound):
        w.tokens.delete(made.token_info.token_id)


def test_tokens_on_behalf_of_a_service_principal(sim, w, sp):
    w.tokens.create(comment="first")
    with pytest.raises(PermissionDenied):
        w.token_management.create_obo_token(sp.application_id)
    from databricks.sdk.service import settings

    w.token_management.set_permissions(access_control_list=[
        settings.TokenAccessControlRequest(
            service_principal_name=sp.application_id, permission_level=settings.TokenPermissionLevel.CAN_USE
        )
    ])
    made = w.token_management.create_obo_token(sp.application_id, comment="for sp")
    assert sim.workspace(made.token_value).current_user.me().user_name == sp.application_id
