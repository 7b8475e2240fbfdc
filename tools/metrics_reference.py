"""Generates docs/metrics.md from the catalogue: `python tools/metrics_reference.py > docs/metrics.md`.

tests/unit/metrics compares the file with the code.
"""

from extproc.metrics import ProcessMetrics
from extproc.metrics.catalogue import CATALOGUE

HEAD = """# Metrics

`GET /metrics` on the address `admin` has the metrics of every worker on one page, each with a label
`worker` (`1`, `2`, ...; with several workers the supervisor's own metrics have `supervisor`). Each
`extproc serve` is therefore one target, however many workers it has:

```yaml
scrape_configs:
  - job_name: extproc
    static_configs:
      - targets: ["127.0.0.1:9490"]
```

([scrape.yaml](../envoy/prometheus/scrape.yaml).) `admin` is on loopback by default. A client that
reaches it sees the traces as well, so let only Prometheus reach it. A scraper that asks for
OpenMetrics, as Prometheus does, gets exemplars: the trace ids of sampled requests, which lead to
their traces.

- **Alerts**, each with what to do: [alerts.yaml](../envoy/prometheus/alerts.yaml). **A dashboard**
  for Grafana 10 and later: [extproc.json](../envoy/grafana/extproc.json) (Dashboards, New, Import).
- **OTLP**: with `metrics.endpoint` in the settings, or `OTEL_EXPORTER_OTLP_ENDPOINT` or
  `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`, each worker also sends its metrics there as OTLP/HTTP every
  60 s (`OTEL_METRIC_EXPORT_INTERVAL`, in ms), cumulative, under the names in the last column.
  `OTEL_METRICS_EXPORTER=none` turns that off where the endpoint is meant for traces only.
- **Bounded**: an application that is not in the settings is `other`, and so is a reason that is not
  in the table of reasons. Nothing that a client sends becomes a label.
- A worker that is replaced, by SIGHUP or because it died, counts from 0 again; `rate()` and
  `increase()` take that into account.
- Signed-in requests that Envoy answers on its fast path never reach the processor: Envoy's own
  metrics count them.

| Prometheus | kind | labels | what it is | OpenTelemetry |
|---|---|---|---|---|
"""
PROCESS = """
## The process

From `/proc`, under the names that every Prometheus client uses; over OTLP under the same names.

| Prometheus | what it is |
|---|---|
"""
LABELS = """
## Labels

| label | values |
|---|---|
| `step` | `none`: answered inline; otherwise what the request was held for: `callback`, `login`, `lookup`, `refresh`, `logout`, `provider_logout`, `bearer`. A lookup that turns out to be another step keeps the value `lookup`. `extproc_held*` has `body` as well: requests whose client has not sent the body yet; and `live`: streams that were answered and stay open until their session ends |
| `application` | name in the settings, or `other` |
| `reason` | code in the table of reasons, as on the error page, in the access log and in the span, or `other` |
| `provider` | name in the settings |
| `endpoint` | `metadata`, `jwks`, `token`, `userinfo`, `revocation`, `introspection` |
| `outcome` of a call | `success`; `refused`: 4xx; `failed`: 5xx, 429, a redirect; `timeout`; `unreachable`; `invalid`: too long or encoded; `cancelled` |
| `outcome` of a stream | `answered`, `cancelled`, `aborted`, `unanswered` |
| `outcome` of a refresh | `renewed`, `failed`, `ended` |
| `store` | `sqlite`, `redis`, `cookie`; for revocations beside sessions in cookies, the kind of their store |
| `place` | work that runs independently of requests: `provider NAME`, `live streams`, `touch`, `session count`, `settings`, `admin`, `metrics export`, `measuring`, `trio lag`, `asyncio lag`, `store`, `redis`, `asyncio callback` (of an embedded processor); of a worker that its supervisor controls: `obeying`, `report`; of a supervisor: `worker`, `worker watch`, `worker leaving`, `worker spans`, `worker metrics` |
| `loop` | `asyncio`, `trio`: two schedulers on one thread |
"""


def reference() -> str:
    parts = [HEAD]
    for instrument in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in instrument.labels)
        unit = f", {instrument.unit}" if instrument.unit else ""
        parts.append(
            f"| `{instrument.exposed}` | {instrument.kind} | {labels} | {instrument.text} | "
            f"`{instrument.name}`{unit} |\n"
        )
    parts.append(PROCESS)
    for family in ProcessMetrics().families():
        if family.name.startswith("process_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            parts.append(f"| `{name}` | {family.documentation} |\n")
    parts.append(LABELS)
    return "".join(parts)


if __name__ == "__main__":
    print(reference(), end="")
