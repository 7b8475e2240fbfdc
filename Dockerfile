# extproc for production: a virtual environment on Python's slim image, no compiler, no pip, no root.
#   docker build -t extproc .
#   docker run --read-only -v ./extproc.yaml:/etc/extproc/extproc.yaml:ro -e EXTPROC_SECRET extproc

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY .ci/lock.txt pyproject.toml README.md LICENSE ./
# the versions that the tests ran with
RUN python -m venv /opt/extproc && grep -oE '^[a-z0-9._-]+==[^ ]+' lock.txt > constraints.txt
COPY protos protos
COPY extproc extproc
RUN /opt/extproc/bin/pip install --no-cache-dir --no-compile -c constraints.txt . \
 && /opt/extproc/bin/pip uninstall --yes --quiet pip setuptools

FROM python:3.11-slim-bookworm
COPY --from=build /opt/extproc /opt/extproc
# sessions, and Envoy's configuration where a compose file or an init container has it written
RUN mkdir -p /var/lib/extproc /var/lib/envoy && chown 65532:65532 /var/lib/extproc /var/lib/envoy
ENV PATH=/opt/extproc/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /var/lib/extproc
EXPOSE 9500
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9490/livez', timeout=2)"]
ENTRYPOINT ["extproc"]
CMD ["serve", "--config", "/etc/extproc/extproc.yaml"]
