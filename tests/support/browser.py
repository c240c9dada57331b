"""A headless Chromium, driven through its pipe of the DevTools protocol.

with Browser(program, folder) as browser:
    page = browser.page(width, height, "dark")
    page.open(url)
    page.wait("document.title !== ''")     # until the expression is true
    page.picture("file.png")
"""

import base64
import fcntl
import json
import os
import signal


class Browser:
    def __init__(self, program, folder):
        self.program, self.folder, self.last = program, folder, 0

    def __enter__(self):
        # Chromium reads its descriptor 3 and writes its 4.
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        high_in, high_out = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (theirs_in, theirs_out))
        self.child = os.posix_spawn(
            self.program,
            [self.program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--remote-debugging-pipe", "--user-data-dir=" + self.folder],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)] +
            [(os.POSIX_SPAWN_DUP2, high_in, 3), (os.POSIX_SPAWN_DUP2, high_out, 4)])
        for fd in (theirs_in, theirs_out, high_in, high_out):
            os.close(fd)
        self.input, self.output = os.fdopen(ours_in, "rb"), ours_out
        self.rest = b""
        return self

    def __exit__(self, *error):
        os.kill(self.child, signal.SIGTERM)
        os.waitpid(self.child, 0)
        self.input.close()
        os.close(self.output)

    def read(self):
        while b"\0" not in self.rest:
            more = self.input.read1(65536)
            if not more:
                raise EOFError("the browser is gone")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **parameters):
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.output, data):]
        while True:
            answer = self.read()
            if answer.get("id") == self.last:
                break
        if "error" in answer:
            raise RuntimeError("%s: %s" % (method, answer["error"]["message"]))
        return answer["result"]

    def page(self, width, height, scheme):
        return Page(self, width, height, scheme)


class Page:
    def __init__(self, browser, width, height, scheme):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def open(self, url):
        error = self.call("Page.navigate", url=url).get("errorText")
        if error:
            raise RuntimeError("%s: %s" % (url, error))

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True,
                           returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def wait(self, expression):
        """Waits until the expression is true; it is looked at with each frame of the page."""
        self.value("new Promise(done => { const look = () => %s ? done(true) : setTimeout(look, 50);"
                   " look(); })" % expression)

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
