# extproc for production: Python and a virtual environment; no compiler, no pip, no shell, no package manager, nothing setuid, no root.
#   docker build -t extproc .
#   docker run -d --name extproc --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --pids-limit 200 --memory 512m -v "$PWD/extproc.yaml:/etc/extproc/extproc.yaml:ro" -v extproc:/var/lib/extproc -e EXTPROC_SECRET -e CLIENT_SECRET -p 127.0.0.1:9500:9500 -p 127.0.0.1:9490:9490 extproc
# docs/topologies.md has the settings for that line ("In a container").
#
# Python 3.11, because the benchmark does not show 3.13 to be faster (docs/decisions/017-image-on-python-3.11.md).
#
# A tag can be moved to another image. To build on one image for good, name it by the digest that `docker buildx imagetools inspect` prints:
#   docker build -t extproc --build-arg BASE=python:3.11-slim-bookworm@sha256:... .
ARG BASE=python:3.11-slim-bookworm
# What some settings need (docs/access.md): [expression], or nothing.
ARG EXTRAS=

# The wheel is built by hatchling and grpcio-tools (pyproject.toml), for which the lock has no hashes: they come from the index as it answers, run in this stage, and write nothing but the wheel.
FROM ${BASE} AS wheel
WORKDIR /src
RUN python -m venv /opt/build
COPY pyproject.toml README.md LICENSE ./
COPY protos protos
COPY extproc extproc
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --wheel-dir dist .

FROM ${BASE} AS build
ARG EXTRAS
WORKDIR /src
COPY .ci/lock.txt tools/locked.py ./
# the versions that the tests ran with
RUN python -m venv /opt/extproc && grep -oE '^[a-z0-9._-]+==[^ ]+' lock.txt > constraints.txt
COPY --from=wheel /src/dist dist
# Every package that is installed beside this wheel is one that the lock has the hashes of, whatever an index or a mirror answers, and none of them is built here.
RUN PATH=/opt/extproc/bin:$PATH \
 && pip install --quiet --no-cache-dir --dry-run --only-binary :all: --report report.json -c constraints.txt "$(echo dist/*.whl)$EXTRAS" \
 && python locked.py lock.txt report.json > requirements.txt \
 && pip install --no-cache-dir --no-compile --no-deps --only-binary :all: --require-hashes -r requirements.txt \
 && pip install --no-cache-dir --no-compile --no-deps dist/*.whl \
 && pip uninstall --yes --quiet pip setuptools

FROM ${BASE} AS bare
COPY --from=build /opt/extproc /opt/extproc
# sessions, and Envoy's configuration where a compose file or an init container has it written
RUN mkdir -p /var/lib/extproc /var/lib/envoy && chown 65532:65532 /var/lib/extproc /var/lib/envoy
# what a burglar would use, pip's bundled wheels included; dpkg's list of packages stays, for those who look for vulnerabilities. The shell goes last.
RUN find / -xdev -type f -perm /6000 -delete \
 && rm -rf /usr/bin/apt* /usr/bin/dpkg* /usr/lib/apt /var/lib/apt /var/cache/apt /usr/bin/perl* /usr/local/bin/pip* /usr/local/bin/wheel \
    /usr/local/lib/python3*/site-packages/* /usr/local/lib/python3*/ensurepip /usr/lib/python3*/ensurepip /usr/share/python-wheels \
    /tmp/* /root/.cache \
 && rm -f /bin/bash /bin/rbash /bin/dash /bin/sh

# one layer, without what was removed
FROM scratch
COPY --from=bare / /
ENV PATH=/opt/extproc/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /var/lib/extproc
# sessions, in the file of the setting store.path; without a volume of that name they end with the container
VOLUME /var/lib/extproc
EXPOSE 9500 9490
# Whether it runs: providers and store may be away, and a restart would not bring them back.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
  CMD ["extproc", "health", "--live", "--config", "/etc/extproc/extproc.yaml"]
ENTRYPOINT ["extproc"]
CMD ["serve", "--config", "/etc/extproc/extproc.yaml"]
