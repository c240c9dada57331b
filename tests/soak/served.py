"""What the programs of this folder share: the process of a server, and a line that it sends back."""
import atexit, signal, subprocess

class Process:
    """A server. It ends with the program that has started it."""
    def __init__(self, command, **how):
        self.process = subprocess.Popen(command, **how)
        atexit.register(self.process.terminate)

    def stop(self):
        """Returns its exit code."""
        atexit.unregister(self.process.terminate)
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

def ask(s, text):
    """Sends a line, and returns the one that comes back."""
    s.sendall(text)
    got = b""
    while not got.endswith(b"\n"):
        part = s.recv(4096)
        if not part:
            raise ConnectionResetError("an early end")
        got += part
    return got
