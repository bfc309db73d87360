"""How long ``GET /api/status`` takes: asks until a line comes in, then says the percentiles."""

from __future__ import annotations

import http.client
import json
import select
import sys
import time
from urllib.parse import urlsplit

INTERVAL_S = 0.02


def main(url: str, token: str) -> None:
    """Poll; one JSON object on stdout at the end."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    headers = {"Authorization": f"token {token}"}
    times = []
    while not select.select([sys.stdin], [], [], INTERVAL_S)[0]:
        started_at = time.perf_counter()
        connection.request("GET", "/api/status", headers=headers)
        connection.getresponse().read()
        times.append((time.perf_counter() - started_at) * 1000)
        if len(times) == 1:
            print("begun", flush=True)
    times = times[1:]  # the first one made the connection
    times.sort()
    worst = times[min(len(times) - 1, int(len(times) * 0.95))] if times else None
    print(json.dumps({"status_p95_ms": worst, "status_polls": len(times)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
