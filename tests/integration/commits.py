"""A git repository that a test makes commit by commit."""
import subprocess
from pathlib import Path


class Repository:
    def __init__(self, folder):
        self.folder = Path(folder)

    def git(self, *words, folder=None):
        """What git prints; it must succeed."""
        return subprocess.run(["git", "-C", folder or self.folder, "-c", "user.name=t", "-c", "user.email=t@t", *words],
                              check=True, capture_output=True, text=True).stdout.strip()

    def put(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, message="x"):
        """All that is there, also when nothing changed; its id."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")
