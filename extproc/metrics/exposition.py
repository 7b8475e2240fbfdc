"""What Prometheus reads: one page of all workers, as text or, where Accept asks for it, OpenMetrics
with exemplars.
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
    content_type: str
    body: bytes


class _Known:
    """What prometheus_client's encoders want: something that collects."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def page(families: Iterable[Metric], accept: str) -> Page:
    encode, content_type = choose_encoder(accept)
    return Page(content_type, encode(_Known(families)))


def to_text(families: Iterable[Metric]) -> str:
    """As a worker says it to its supervisor; from_text() reads it."""
    text: bytes = openmetrics.generate_latest(_Known(families))  # type: ignore[no-untyped-call]
    return text.decode()


def from_text(text: str) -> list[Metric]:
    """Raises ValueError on what to_text() did not make."""
    return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def merged(parts: Iterable[tuple[str, Iterable[Metric]]]) -> list[Metric]:
    """The families of several processes as one, each sample with a label that says which worker it
    is of.
    """
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
                # a second series for each, which nothing of ours reads
                if not sample.name.endswith("_created")
            ]
    return list(families.values())
