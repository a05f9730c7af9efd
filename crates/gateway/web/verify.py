import base64, hmac, time

def verify(secret, headers, body):
    """Raises ValueError unless the body, as bytes, was signed with the secret within the last five minutes."""
    sent = headers["webhook-timestamp"]
    if abs(time.time() - int(sent)) > 300:
        raise ValueError("the delivery is not of now")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    tag = hmac.digest(key, f"{headers['webhook-id']}.{sent}.".encode() + body, "sha256")
    signature = "v1," + base64.b64encode(tag).decode()
    if not any(hmac.compare_digest(signature, one) for one in headers["webhook-signature"].split()):
        raise ValueError("the delivery is not signed with the secret")
