"""Programs that fetch a URL and print what they got, one for each way to do it."""

from __future__ import annotations

import json
from typing import Any

from real_kernel import Cell
from web_server import WebServer


def told(cell: Cell) -> Any:
    """What the server told of a request, as the cell printed it."""
    assert cell.status == "ok", cell.reply
    return json.loads(cell.text())


PYTHON = {
    "pyfetch": "r = await pyfetch('{url}')\nprint(await r.text())",
    "pyfetch with JSON": "import json\nprint(json.dumps(await (await pyfetch('{url}')).json()))",
    "js.fetch": "print(await (await js.fetch('{url}')).text())",
    "urllib.request": "print(urllib.request.urlopen('{url}').read().decode())",
    "urllib.request, in parts": "with urllib.request.urlopen('{url}') as f:\n"
    "    print(b''.join(iter(lambda: f.read(7), b'')).decode())",
    "urlretrieve": "print(open(urllib.request.urlretrieve('{url}')[0]).read())",
    "open_url": "print(open_url('{url}').read())",
    "pyxhr": "from pyodide.http import pyxhr\nprint(pyxhr.get('{url}').text)",
    "http.client": "import http.client\nc = http.client.HTTPConnection('{place}')\n"
    "c.request('GET', '{path}')\nprint(c.getresponse().read().decode())",
}
LIBRARIES = {
    "requests": "import requests\nprint(requests.get('{url}').text)",
    "requests, in parts": "import requests\nr = requests.get('{url}', stream=True)\n"
    "print(b''.join(r.iter_content(7)).decode())",
    "urllib3": "import urllib3\nprint(urllib3.PoolManager().request('GET', '{url}').data.decode())",
    "httpx": "import httpx\nprint(httpx.get('{url}', follow_redirects=True).text)",
    "httpx, asynchronous": "import httpx\nasync with httpx.AsyncClient() as c:\n"
    "    print((await c.get('{url}', follow_redirects=True)).text)",
}


def program(text: str, server: WebServer, path: str) -> str:
    return text.format(url=server.url + path, place=server.place, path=path)
