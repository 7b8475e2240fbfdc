"""The page that Prometheus scrapes: the metrics of all workers, as text, or as OpenMetrics with
exemplars if the scraper accepts it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Page:
    """An HTTP response body with its content type."""

    content_type: str
    body: bytes


class _Collected:
    """Metric families that were collected already, for prometheus_client's encoders."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def page(families: Iterable[Metric], accept: str) -> Page:
    """Encode metric families for a scraper with this Accept header."""
    encode, content_type = choose_encoder(accept)
    return Page(content_type, encode(_Collected(families)))


def to_text(families: Iterable[Metric]) -> str:
    """Encode metric families for the supervisor; `from_text` reads the result."""
    text: bytes = openmetrics.generate_latest(_Collected(families))  # type: ignore[no-untyped-call]
    return text.decode()


def from_text(text: str) -> list[Metric]:
    """Read the result of `to_text`. Raises ValueError for any other text."""
    return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def merged(parts: Iterable[tuple[str, Iterable[Metric]]]) -> list[Metric]:
    """Merge the metric families of several processes; each sample gets the label `worker`."""
    families: dict[str, Metric] = {}
    for worker, part in parts:
        for family in part:
            if family.name not in families:
                families[family.name] = Metric(
                    family.name, family.documentation, family.type, family.unit
                )
            families[family.name].samples += [
                sample._replace(labels={**sample.labels, WORKER: worker})
                for sample in family.samples
                # a second series for each counter, which no query of extproc uses
                if not sample.name.endswith("_created")
            ]
    return list(families.values())
