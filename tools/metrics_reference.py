"""Writes docs/metrics.md from the catalogue of metrics.

PYTHONPATH=.:tests python tools/metrics_reference.py > docs/metrics.md

A test compares the two.
"""

from extproc.metrics import ProcessMetrics
from extproc.metrics.catalogue import CATALOGUE

HEAD = """# Metrics

`GET /metrics` on the address `admin` has all of them, those of every worker on one page, each with a label `worker` (`1`, `2`, ...; with
several workers their supervisor's own are `supervisor`). So each `extproc serve` is one target, however many workers it has:

```yaml
scrape_configs:
  - job_name: extproc
    static_configs:
      - targets: ["127.0.0.1:9490"]
```

([scrape.yaml](../envoy/prometheus/scrape.yaml).) `admin` is on loopback unless you say otherwise; whoever reaches it sees the traces as well, so
let Prometheus reach it and nobody else. A scraper that asks for OpenMetrics, as Prometheus does, gets exemplars: the trace ids of sampled
requests, which lead to their traces.

- **Alerts**, each with what to do: [alerts.yaml](../envoy/prometheus/alerts.yaml). **A dashboard** for Grafana 10 and later:
  [extproc.json](../envoy/grafana/extproc.json) (Dashboards, New, Import).
- **OTLP**: with `metrics.endpoint` in the settings, or `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`, the same numbers go there
  as OTLP/HTTP every 60 s (`OTEL_METRIC_EXPORT_INTERVAL`, in ms), cumulative, under the names on the right; each worker sends its own.
  `OTEL_METRICS_EXPORTER=none` turns that off, where only traces are wanted there.
- **Bounded**: an application that is not in the settings is `other`, and so is a reason that is not in the table of reasons. Nothing that
  a client sends becomes a label.
- A worker that is replaced, by SIGHUP or because it died, counts from 0 again; `rate()` and `increase()` know that.
- Signed-in requests that Envoy answers on its fast path never come here: Envoy's own metrics have them.

| Prometheus | kind | labels | what it is | OpenTelemetry |
|---|---|---|---|---|
"""
PROCESS = """
## The process

From `/proc`, as every Prometheus client names them; over OTLP under the same names.

| Prometheus | what it is |
|---|---|
"""
LABELS = """
## Labels

| label | values |
|---|---|
| `step` | `none`: answered inline; else what the request was held for: `callback`, `login`, `lookup`, `refresh`, `logout`, `provider_logout`. A lookup that turns out to be more keeps its name here |
| `application` | of the settings, or `other` |
| `reason` | of the table of reasons: what the error page, the access log and the span say, or `other` |
| `provider` | of the settings |
| `endpoint` | `metadata`, `jwks`, `token`, `userinfo`, `revocation` |
| `outcome` of a call | `success`; `refused`: 4xx; `failed`: 5xx, 429, a redirect; `timeout`; `unreachable`; `invalid`: too long or encoded; `cancelled` |
| `outcome` of a stream | `answered`, `cancelled`, `aborted`, `unanswered` |
| `outcome` of a refresh | `renewed`, `failed`, `ended` |
| `store` | `sqlite`, `redis`, `cookie`; for operations of the tombstones of cookies, the kind of that store |
| `place` | what runs beside requests: `provider NAME`, `live streams`, `touch`, `session count`, `settings`, `admin`, `metrics export`, `measuring`, `trio lag`, `asyncio lag`, `store`, `redis`; of a worker at its supervisor's word `obeying`, `report`; of a supervisor `worker`, `worker watch`, `worker leaving`, `worker spans`, `worker metrics` |
| `loop` | `asyncio`, `trio`: two schedulers on one thread |
"""


def reference() -> str:
    parts = [HEAD]
    for i in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in i.labels)
        parts.append(
            f"| `{i.exposed}` | {i.kind} | {labels} | {i.text} | "
            f"`{i.name}`{f', {i.unit}' if i.unit else ''} |\n"
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
