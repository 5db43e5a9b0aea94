"""Plain parallel PUTs or GETs of objects over signed URLs, without retries: what a link gives.

Reads one JSON line {"method", "connections", "objects": [{"url", "headers", "path", "length"}]}
and writes {"seconds"}. Bodies are read before the clock starts; what is fetched is thrown away.
"""

import http.client
import json
import queue
import sys
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any

SLICE = 1 << 20


def main() -> int:
    """Transfer everything; 1 when anything failed."""
    task = json.loads(sys.stdin.readline())
    todo: queue.SimpleQueue[tuple[dict[str, Any], bytes]] = queue.SimpleQueue()
    for each in task["objects"]:
        todo.put((each, Path(each["path"]).read_bytes() if task["method"] == "PUT" else b""))
    failures: list[str] = []

    def work() -> None:
        buffer = memoryview(bytearray(SLICE))
        connection: http.client.HTTPConnection | None = None
        while True:
            try:
                each, body = todo.get_nowait()
            except queue.Empty:
                return
            url = urllib.parse.urlsplit(each["url"])
            connection = connection or http.client.HTTPConnection(url.netloc)
            connection.request(task["method"], f"{url.path}?{url.query}", body, each["headers"])
            answer = connection.getresponse()
            count = 0
            while got := answer.readinto(buffer):
                count += got
            if answer.status != 200 or (task["method"] == "GET" and count != each["length"]):
                failures.append(f"{answer.status} after {count} bytes")

    threads = [threading.Thread(target=work) for _ in range(task["connections"])]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"seconds": time.monotonic() - begun}))
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
