"""Conversations by hand with the services of a whole mail server: SMTP without manners, HTTP, webmail, ManageSieve.

Plain sockets, because real client libraries will not lie: each function says exactly what it is told to say and
returns what the server said.
"""

import base64
import contextlib
import re
import socket
import urllib.parse

import attack


def read_reply(sock, size=65536):
    """What the server says next, up to a complete SMTP-like line; empty when it went away."""
    answer = b""
    with contextlib.suppress(OSError):
        while part := sock.recv(size):
            answer += part
            last = answer.splitlines()[-1]
            if answer.endswith(b"\n") and last[3:4] != b"-":
                break
    return answer.decode(errors="replace").strip()


def smtp(client, source, host, *lines, port=25, greet=True, timeout=15, leave="close", end=b"\r\n"):
    """Say the lines one by one, each when the last was answered; `greet=False` does not wait for the greeting.

    A line may hold line ends of its own: then it is sent at once, pipelined. Returns all answers.
    """
    sock = client.connect(source, host, port)
    sock.settimeout(timeout)
    answers = [read_reply(sock)] if greet else []
    for line in lines:
        data = line if isinstance(line, bytes) else line.encode() + end
        try:
            sock.sendall(data)
        except OSError as gone:
            answers.append(type(gone).__name__)
            break
        answers.append(read_reply(sock))
        if not answers[-1]:
            break
    if leave == "reset":
        attack.reset(sock)
    sock.close()
    return answers


def mail(client, source, host, *recipients, sender="a@example.org", helo="client.test", subject="hi", port=25):
    """A whole mail; returns all answers."""
    return smtp(client, source, host, f"EHLO {helo}", f"MAIL FROM:<{sender}>",
                *(f"RCPT TO:<{recipient}>" for recipient in recipients), "DATA",
                f"Subject: {subject}\r\n\r\nhello\r\n.", "QUIT", port=port)


def http(client, source, host, path="/", user=None, password="", port=80, method="GET", body=None, headers=None):
    """One request on a connection of its own; returns (status or None, head and body as text)."""
    sock = client.connect(source, host, port)
    sock.settimeout(30)
    if port == 443:
        sock = attack.tls().wrap_socket(sock)
    lines = {"Host": "mx.test", "Connection": "close", "User-Agent": "test", **(headers or {})}
    if user is not None:
        raw = (user if isinstance(user, bytes) else user.encode()) + b":" + password.encode()
        lines["Authorization"] = "Basic " + base64.b64encode(raw).decode()
    data = b""
    if body is not None:
        data = urllib.parse.urlencode(body).encode()
        lines |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(data))}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    answer = b""
    with contextlib.suppress(OSError):
        sock.sendall(head.encode("utf-8", "surrogateescape") + b"\r\n" + data)
        while part := sock.recv(65536):
            answer += part
    sock.close()
    text = answer.decode(errors="replace")
    found = re.match(r"HTTP/\S+ (\d+)", text)
    return (int(found.group(1)) if found else None), text


def basic(client, source, host, path, user, password, port=80):
    """A page with a password; the outcome."""
    status, _ = http(client, source, host, path, user, password, port)
    return {200: attack.ACCEPTED, 401: attack.REFUSED, 403: attack.REFUSED}.get(status, status)


def webmail(client, source, host, user, password, path="/", headers=None, port=80):
    """Log in to Roundcube as a browser would: the form with its token, then the form's contents; the outcome."""
    status, form = http(client, source, host, path, headers=headers, port=port)
    token = re.search(r'name="_token" value="([^"]+)"', form)
    cookies = "; ".join(re.findall(r"^Set-Cookie: ([^;\r]+)", form, re.M | re.I))
    if not token:
        return f"no form: {status}"
    status, text = http(client, source, host, path + "?_task=login", method="POST", port=port,
                        headers={**(headers or {}), "Cookie": cookies},
                        body={"_token": token.group(1), "_task": "login", "_action": "login", "_timezone": "UTC",
                              "_url": "", "_user": user, "_pass": password})
    return {302: attack.ACCEPTED, 401: attack.REFUSED}.get(status, f"{status}: {text[:200]}")


def controller(client, source, host, password, path="/auth", port=11334, headers=None):
    """Ask Rspamd's controller; the outcome."""
    status, text = http(client, source, host, path, port=port, headers={"Password": password, **(headers or {})})
    return {200: attack.ACCEPTED, 401: attack.REFUSED, 403: attack.REFUSED}.get(status, f"{status}: {text[:200]}")


def sieve(client, source, host, user, password, tries=1, port=4190, leave="logout"):
    """ManageSieve with STARTTLS and SASL PLAIN; the outcome of the last try."""
    sock = client.connect(source, host, port)
    sock.settimeout(30)

    def until_done():
        answer = b""
        while not re.search(rb"^(OK|NO|BYE)\b.*\n\Z", answer, re.M | re.S):
            part = sock.recv(4096)
            if not part:
                raise ConnectionError("the server went away")
            answer += part
        return re.findall(rb"^(OK|NO|BYE)\b", answer, re.M)[-1]

    until_done()
    sock.sendall(b"STARTTLS\r\n")
    until_done()
    sock = attack.tls().wrap_socket(sock)
    until_done()
    outcome = None
    for _ in range(tries):
        sock.sendall(f'AUTHENTICATE "PLAIN" "{attack.plain(user, password)}"\r\n'.encode())
        outcome = {b"OK": attack.ACCEPTED, b"NO": attack.REFUSED}.get(until_done(), "BYE")
    if leave == "reset":
        attack.reset(sock)
    else:
        sock.sendall(b"LOGOUT\r\n")
        with contextlib.suppress(OSError):
            until_done()
        sock.close()
    return outcome
