"""What a server counts, as Prometheus reads it."""

from __future__ import annotations

from collections import Counter

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds


class Measures:
    """Requests by route and status, and how long they took."""

    def __init__(self):
        self.requests: Counter[tuple[str, int]] = Counter()
        self.seconds: Counter[str] = Counter()
        self.buckets: Counter[tuple[str, float]] = Counter()

    def add(self, route: str, status: int, seconds: float) -> None:
        """Count a request that has been answered."""
        self.requests[route, status] += 1
        self.seconds[route] += seconds
        for bound in BOUNDS:
            if seconds <= bound:
                self.buckets[route, bound] += 1

    def text(self, gauges: dict[str, float]) -> str:
        """All of it, with figures of the moment: name -> value."""
        lines = ["# TYPE recbole_store_requests_total counter"]
        for (route, status), count in sorted(self.requests.items()):
            labels = f'route="{route}",status="{status}"'
            lines.append(f"recbole_store_requests_total{{{labels}}} {count}")
        lines.append("# TYPE recbole_store_request_seconds histogram")
        totals = Counter()
        for (route, _), count in self.requests.items():
            totals[route] += count
        for route, count in sorted(totals.items()):
            name = "recbole_store_request_seconds"
            for bound in BOUNDS:
                held = self.buckets[route, bound]
                lines.append(f'{name}_bucket{{route="{route}",le="{bound}"}} {held}')
            lines.append(f'{name}_bucket{{route="{route}",le="+Inf"}} {count}')
            lines.append(f'{name}_sum{{route="{route}"}} {self.seconds[route]:.6f}')
            lines.append(f'{name}_count{{route="{route}"}} {count}')
        for name, value in gauges.items():
            lines += [f"# TYPE recbole_store_{name} gauge", f"recbole_store_{name} {value}"]
        return "\n".join(lines) + "\n"
