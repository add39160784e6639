"""Runs the gateway that TensorZero's wheel carries, until it is killed.

    tensorzero_gateway.py CONFIGURATION.toml

The wheel has no program. `patch_openai_client` starts the gateway's own HTTP server on a loopback
port inside this process and points a client at it; here nobody uses that client, and the server is
asked over its socket like any other. It chooses the port itself, so the address is said on a line
of its own: `address HOST:PORT`.
"""

import sys
import threading
import urllib.parse
import warnings

import tensorzero

# The way in is deprecated, which is why the version is pinned.
warnings.simplefilter("ignore", DeprecationWarning)


class Client:
    """What `patch_openai_client` needs of a client: an attribute that it may set."""

    base_url = ""


def main():
    client = Client()
    tensorzero.patch_openai_client(client, config_file=sys.argv[1], async_setup=False)
    print("address", urllib.parse.urlsplit(str(client.base_url)).netloc, flush=True)
    # The server's threads do the work; this one only keeps the process.
    threading.Event().wait()


if __name__ == "__main__":
    main()
