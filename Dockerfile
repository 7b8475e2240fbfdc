# extproc for production: Python and a virtual environment; no compiler, no pip, no shell, no package manager, nothing setuid, no root.
#   docker build -t extproc .
#   docker run --read-only -v ./extproc.yaml:/etc/extproc/extproc.yaml:ro -e EXTPROC_SECRET extproc

FROM python:3.13-slim-trixie AS build
WORKDIR /src
COPY .ci/lock.txt pyproject.toml README.md LICENSE ./
# the versions that the tests ran with
RUN python -m venv /opt/extproc && grep -oE '^[a-z0-9._-]+==[^ ]+' lock.txt > constraints.txt
COPY protos protos
COPY extproc extproc
RUN /opt/extproc/bin/pip install --no-cache-dir --no-compile -c constraints.txt . \
 && /opt/extproc/bin/pip uninstall --yes --quiet pip setuptools

FROM python:3.13-slim-trixie AS bare
COPY --from=build /opt/extproc /opt/extproc
# sessions, and Envoy's configuration where a compose file or an init container has it written
RUN mkdir -p /var/lib/extproc /var/lib/envoy && chown 65532:65532 /var/lib/extproc /var/lib/envoy
# what a burglar would use; dpkg's list of packages stays, for those who look for vulnerabilities. The shell goes last.
RUN find / -xdev -type f -perm /6000 -delete \
 && rm -rf /usr/bin/apt* /usr/bin/dpkg* /usr/lib/apt /var/lib/apt /var/cache/apt /usr/bin/perl* /usr/local/bin/pip* \
    /usr/local/lib/python3*/site-packages/pip* /tmp/* /root/.cache \
 && rm -f /bin/bash /bin/rbash /bin/dash /bin/sh

# one layer, without what was removed
FROM scratch
COPY --from=bare / /
ENV PATH=/opt/extproc/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /var/lib/extproc
EXPOSE 9500
# Whether it runs: providers and store may be away, and a restart would not bring them back.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
  CMD ["extproc", "health", "--live", "--config", "/etc/extproc/extproc.yaml"]
ENTRYPOINT ["extproc"]
CMD ["serve", "--config", "/etc/extproc/extproc.yaml"]
