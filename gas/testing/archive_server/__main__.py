"""`python -m gas.testing.archive_server --port N --s3 PORT --folder DIR`: serve until SIGTERM."""

import argparse
import json
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

from gas.testing.archive_server.glacier import Glacier, GlacierHandler
from gas.testing.archive_server.s3 import S3, S3Handler
from gas.testing.archive_server.world import World


class Both(S3Handler, GlacierHandler):
    world: World

    def serve(self) -> None:
        self.fault = ""
        self.begin()
        try:
            if self.parts == ["_control"]:
                self.answer_json(200, self.world.control(**json.load(self.body)))
            elif "x-amz-glacier-version" in self.headers:
                self.serve_glacier()
            else:
                self.serve_s3()
        finally:
            self.body.close()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = serve


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def restore_forever(s3: S3) -> None:
    while True:
        s3.restore_what_is_due()
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--s3", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    world = World(options.folder)
    s3, glacier = S3(world, options.s3), Glacier(world)
    threading.Thread(target=restore_forever, args=[s3], daemon=True).start()
    handler = type("Handler", (Both,), {"world": world, "s3": s3, "glacier": glacier})
    Server(("127.0.0.1", options.port), handler).serve_forever()


if __name__ == "__main__":
    main()
