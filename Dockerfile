# SPDX-License-Identifier: Apache-2.0
#
# docker build -t martlet .                                                   with Redis
# docker build -t martlet --build-arg TRAITS=Redis,Kafka,ServiceBus .         with all shared logs
#
# docs/installing.md says how to run the image. `scripts/package` makes the same one without an engine: it reads the
# second stage of this file.
FROM swift:6.3.1-bookworm AS build
ARG TRAITS=Redis
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
        ca-certificates libhiredis-dev libqpid-proton11-dev librdkafka-dev libsqlite3-dev python3 zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /martlet
COPY . .
RUN scripts/package --traits "$TRAITS" root

FROM scratch
COPY --from=build /martlet/dist/root/ /
# A new volume has the owner and the mode of the folder in the image.
COPY --from=build --chown=65532:65532 /martlet/dist/data/ /var/lib/
LABEL org.opencontainers.image.title="martlet" \
      org.opencontainers.image.description="A hub for Server-Sent Events" \
      org.opencontainers.image.source="https://github.com/martlet/martlet" \
      org.opencontainers.image.licenses="Apache-2.0"
# librdkafka leaves the search for certificates to OpenSSL, which looks in a folder that the image does not have.
ENV MARTLET_HOST="0.0.0.0" MARTLET_LOG="sqlite:/var/lib/martlet/hub.db" SSL_CERT_FILE="/etc/ssl/certs/ca-certificates.crt"
USER 65532:65532
VOLUME ["/var/lib/martlet"]
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["/usr/bin/martlet", "health"]
ENTRYPOINT ["/usr/bin/martlet"]
CMD ["serve"]
