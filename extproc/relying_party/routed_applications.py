"""The application of a request, as far as Envoy's route was generated from the same settings."""

from collections.abc import Mapping

from extproc import telemetry
from extproc.core.application import Application
from extproc.core.errors import AccessDiffers, Misdirected
from extproc.core.http import Request
from extproc.core.reasons import Level

# Applications of which a wrong configuration of Envoy is logged.
_MAX_DIFFERING = 100


class RoutedApplications:
    """The applications of the settings, by the names that Envoy's routes have.

    Args:
        applications: By name.
    """

    def __init__(self, applications: Mapping[str, Application]) -> None:
        self._applications = applications
        # applications of which Envoy has another configuration, as far as that was logged
        self._differing: set[str] = set()

    def application(self, request: Request) -> Application:
        """Return the application that Envoy's route names.

        Raises:
            Misdirected: The settings have no such application, or another one of its name, because
                Envoy's configuration was generated from other settings.
            AccessDiffers: It was generated from other rules.
        """
        name = request.application
        application = self._applications.get(name)
        if application is None:
            raise self._generated_otherwise(name, f"no application {name[:80]!r} in the settings")
        if request.fingerprint not in ("", application.fingerprint):
            raise self._generated_otherwise(
                name, "Envoy has another fingerprint of this application"
            )
        if request.access != application.access.digest:
            detail = "Envoy has other rules of this application"
            self._generated_otherwise(name, detail)
            raise AccessDiffers(detail)
        return application

    def _generated_otherwise(self, name: str, detail: str) -> Misdirected:
        """Log an error once for each application, because every request to it is refused."""
        if name not in self._differing and len(self._differing) < _MAX_DIFFERING:
            self._differing.add(name)
            telemetry.log(
                Level.ERROR,
                "envoy_differs",
                application=name[:80],
                reason=Misdirected.reason,
                detail=f"{detail}: its configuration was generated from other settings; run "
                "`extproc envoy` and restart Envoy with it",
            )
        return Misdirected(detail)
