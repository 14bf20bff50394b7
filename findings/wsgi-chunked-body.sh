#!/usr/bin/env bash
# A POST whose body comes in chunks, without Content-Length, as senders of webhooks write it that
# stream their JSON. Whether a Python receiver reads it depends on its framework and its server:
#                    Django 5.2.19   Flask 3.1.3   Bottle 0.13.4   Falcon 4.4.0
#   gunicorn 27.0.1  nothing         the body      400             400
#   cheroot 11.1.2   nothing         the body      400             400
#   granian 2.8.9    nothing         the body      400             400
#   waitress 3.0.2   the body        the body      the body        the body
# Django reports no error: request.body is empty, so the signature is wrong or the event is lost
# with 200. Its ASGI interface (here with uvicorn 0.54.0) reads it.
# One would expect the body everywhere: HTTP/1.1 demands that each recipient reads chunks (RFC 9112,
# 7.1), all four servers do, and WSGI gives the application a stream.
# So webhooks need a Content-Length, however large they are.
#
# Cause: WSGI (PEP 3333) knows the end of a body by CONTENT_LENGTH only. waitress reads the whole
# body first and sets it. The others say "wsgi.input_terminated", which only Flask looks at: Django
# and Falcon read nothing without a length, and Bottle takes the decoded body for chunks.
#
# Output seen:
#   gunicorn  django nothing, flask body, bottle 400, falcon 400
#   cheroot   django nothing, flask body, bottle 400, falcon 400
#   granian   django nothing, flask body, bottle 400, falcon 400
#   waitress  django body, flask body, bottle body, falcon body
#   uvicorn   django body
#   with Content-Length, gunicorn: django body, flask body, bottle body, falcon body
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check django==5.2.19 flask==3.1.3 \
    werkzeug==3.1.9 bottle==0.13.4 falcon==4.4.0 gunicorn==27.0.1 cheroot==11.1.2 granian==2.8.9 \
    waitress==3.0.2 uvicorn==0.54.0
cat > "$folder/applications.py" <<'PYTHON'
import bottle
import django
import falcon
import flask
from django.conf import settings

settings.configure(
    SECRET_KEY="key", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[])
django.setup()

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path


def answer(body):
    return {b"": "nothing", b'{"a":1}': "body"}[body]


urlpatterns = [path("django", lambda request: HttpResponse(answer(request.body)))]
with_django, with_django_asgi = get_wsgi_application(), get_asgi_application()

with_flask = flask.Flask("application")
with_flask.add_url_rule(
    "/flask", methods=["POST"], view_func=lambda: answer(flask.request.get_data()))

with_bottle = bottle.Bottle()
with_bottle.route("/bottle", "POST", lambda: answer(bottle.request.body.read()))


class Resource:
    def on_post(self, request, response):
        response.text = "body" if request.get_media() == {"a": 1} else "?"


with_falcon = falcon.App()
with_falcon.add_route("/falcon", Resource())
APPLICATIONS = {"/django": with_django, "/flask": with_flask, "/bottle": with_bottle,
                "/falcon": with_falcon}


def application(environ, start_response):
    return APPLICATIONS[environ["PATH_INFO"]](environ, start_response)
PYTHON
cat > "$folder/run.py" <<'PYTHON'
import http.client
import os
import socket
import subprocess
import sys
import time

BIN, FOLDER = sys.argv[1], sys.argv[2]
BODY = b'{"a":1}'


def outcome_of(port, framework, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", f"/{framework}", body, {
        "Content-Type": "application/json", "Connection": "close"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return f"{framework} {text if answer.status == 200 else answer.status}"


def outcomes(command, frameworks, make_body):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = subprocess.Popen(
        [f"{BIN}/{command[0]}", *(part.replace("PORT", str(port)) for part in command[1:])],
        cwd=FOLDER, env={**os.environ, "PYTHONPATH": FOLDER}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        return ", ".join(outcome_of(port, framework, make_body()) for framework in frameworks)
    finally:
        program.terminate()
        program.wait()


def in_chunks():
    return iter([BODY])


def at_once():
    return BODY


ALL = ["django", "flask", "bottle", "falcon"]
REFUSED = "django nothing, flask body, bottle 400, falcon 400"
READ = "django body, flask body, bottle body, falcon body"
GUNICORN = ["gunicorn", "-b", "127.0.0.1:PORT", "applications:application"]
for title, command, frameworks, make_body, expected in [
    ("gunicorn ", GUNICORN, ALL, in_chunks, REFUSED),
    ("cheroot  ", ["cheroot", "--bind", "127.0.0.1:PORT", "applications:application"], ALL,
     in_chunks, REFUSED),
    ("granian  ", ["granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", "PORT",
                   "applications:application"], ALL, in_chunks, REFUSED),
    ("waitress ", ["waitress-serve", "--listen", "127.0.0.1:PORT", "applications:application"],
     ALL, in_chunks, READ),
    ("uvicorn  ", ["uvicorn", "--port", "PORT", "applications:with_django_asgi"], ["django"],
     in_chunks, "django body"),
    ("with Content-Length, gunicorn:", GUNICORN, ALL, at_once, READ),
]:
    seen = outcomes(command, frameworks, make_body)
    print(title, seen)
    assert seen == expected
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder/venv/bin" "$folder"
