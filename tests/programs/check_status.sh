#!/bin/sh
# examples/status: its page as curl sees it, and as a browser shows it: narrow and wide, light and dark.
#
# usage: check_status.sh BUILD_DIR
set -u

if [ $# -ne 1 ] || [ ! -x "$1/examples/status/status" ]; then
	echo "usage: check_status.sh BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$(dirname "$0")/../support/report.sh"
# shellcheck source=tests/support/examples.sh
. "$(dirname "$0")/../support/examples.sh"
html=$(dirname "$0")/../../examples/status/page.html

# start_status OPTION...: sets address and page
start_status() {
	must_start 3 status/status "$@" 127.0.0.1:0 127.0.0.1:0
	read -r line <&3
	page=http://${line##*tcp:}
}

for options in --mode=fibers --mode=threads --workers=2; do
	start_status "$options"
	if has curl; then
		none "status $options: the page" "$($limit curl -sS "$page/" | cmp - "$html" 2>&1)"
		same "status $options: what is not there" "404 400" \
		    "$($limit curl -s -o "$tmp/out" -w '%{http_code}' "$page/none") $($limit curl -s \
			-o "$tmp/out" -w '%{http_code}' --request-target nonsense "$page/")"
	else
		skip "status $options: the page" "there is no curl"
	fi
	python "status $options: events tell what the server does" "$address" "${page#http://}" <<'END'
import json
page = connect("tcp:" + sys.argv[2])
page.sendall(b"GET /events HTTP/1.1\r\nHost: here\r\n\r\n")
lines = page.makefile("r")
assert next(lines) == "HTTP/1.1 200 OK\n"
def event():
    for line in lines:
        if line.startswith("data: "):
            return json.loads(line[6:])
first = event()
clients = [connect(sys.argv[1]) for _ in range(5)]
for client in clients:
    client.sendall(b"hello\n")
    assert client.recv(10) == b"hello\n"
then = event()
while then["bytes_in"] < first["bytes_in"] + 30:
    then = event()
assert then["accepted"] == first["accepted"] + 5, (first, then)
assert then["running"] + then["parked"] >= 6, then
assert then["time"] > first["time"] and then["lag_ms"] >= 0, then
END
	stop 3 TERM
	same "status $options, SIGTERM" "0 " "$code $error"
done
start_status
python "status: a stop ends the events" "${page#http://}" "$pid" <<'END'
import os, signal
page = connect("tcp:" + sys.argv[1])
page.sendall(b"GET /events HTTP/1.1\r\n\r\n")
lines = page.makefile("r")
assert "data: " in "".join(next(lines) for _ in range(6))
os.kill(int(sys.argv[2]), signal.SIGTERM)
for line in lines:
    pass
END
stop 3 TERM 2>/dev/null # it is ending already
same "status: stopped with a page open" "0 " "$code $error"
refused "status: processes" 2 "mode" status/status --mode processes 127.0.0.1:0 127.0.0.1:0

# ---- in a browser ----

chromium=$(command -v chromium || command -v chromium-browser)
if [ -z "$chromium" ] || ! has python3; then
	skip "status in a browser" "there is no chromium or python3"
	report_end
fi
start_status
cp "$support/browser.py" "$tmp/"
limit="timeout 100" # a browser takes its time beside other work
python "status in a browser, narrow and wide, light and dark" "$chromium" "$tmp" "$address" "$page/" <<'END'
from browser import Browser
chromium, folder, address, url = sys.argv[1:]
clients = [connect(address) for _ in range(7)]

# The contrast of each text and its background, as WCAG 2 counts it.
contrast = """(() => {
    const light = color => { const [r, g, b] = color.match(/\\d+/g).map(part => {
        part /= 255; return part <= .03928 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4; });
        return .2126 * r + .7152 * g + .0722 * b; };
    const back = light(getComputedStyle(document.querySelector('section')).backgroundColor);
    return Math.min(...[...document.querySelectorAll('section *')].map(each => {
        const front = light(getComputedStyle(each).color);
        return (Math.max(front, back) + .05) / (Math.min(front, back) + .05); })); })()"""

def look(browser, width, height, scheme, columns):
    page = browser.page(width, height, scheme)
    page.open(url)
    page.wait("document.getElementById('state')?.textContent === 'live'")
    page.wait("charts.every(chart => chart.values.length >= 2)")
    for client in clients:
        client.sendall(b"hello\n")
        assert client.recv(10) == b"hello\n"
    page.wait("charts[0].values.at(-1) >= 7")
    assert page.value("document.querySelectorAll('#charts section').length") == 4
    assert page.value("charts.every(chart => chart.line.points.length === chart.values.length)")
    assert page.value("charts.every(chart => chart.now.textContent !== '–')")
    assert page.value("document.documentElement.scrollWidth <= innerWidth"), "wider than its window"
    assert columns == page.value(
        "getComputedStyle(document.querySelector('main')).gridTemplateColumns.split(' ').length")
    assert page.value(contrast) >= 4.5, page.value(contrast)
    assert (scheme == "dark") == page.value(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] < 128")

with Browser(chromium, folder + "/profile") as browser:
    for scheme in "light", "dark":
        look(browser, 390, 844, scheme, 1)
        look(browser, 1280, 800, scheme, 2)
END
stop 3 TERM
same "status with a browser, SIGTERM" 0 "$code"
report_end
