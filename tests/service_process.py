"""A service of ours as a process, for tests: on a port that the system chooses, read from its own log."""
import json
import os
import signal
import subprocess
from pathlib import Path

BUILD = Path(os.environ["DOGSHORE_BUILD"])


class Service:
    """Runs until end(). folder: its DATA_DIR. environment wins over what is set here."""

    def __init__(self, name, folder, **environment):
        self.process = subprocess.Popen(
            [BUILD / name], stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": "0",
                 "DATA_DIR": str(folder), "DRAIN_DELAY": "0ms", **environment})
        line = json.loads(self.process.stdout.readline())
        if line["message"] != "listening":
            raise RuntimeError(line)
        self.port = int(line["port"])
        # Nobody reads the rest of the log, but the pipe must not fill.
        self.reader = subprocess.Popen(["cat"], stdin=self.process.stdout,
                                       stdout=subprocess.DEVNULL)
        self.process.stdout.close()

    def ask_to_end(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        status = self.process.wait()
        self.reader.wait()
        return status

    def end(self):
        self.ask_to_end()
        return self.wait()
