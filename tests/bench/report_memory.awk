# From a line of bytes for each server, a block of lines to read, and a line of JSON for $rows

BEGIN { n = split(names, name, "|") }

{ bytes[NR] = $1 }

END {
	printf "%s: bytes of memory of each\n", title
	printf "{\"kind\":\"memory\",%s,\"title\":\"%s\",\"load\":\"%s\",\"servers\":[", about, title, load >>rows
	for (i = 1; i <= n; i++) {
		printf "  %-28s %7.0f\n", name[i], bytes[i]
		printf "%s{\"name\":\"%s\",\"bytes\":%.0f}", (i > 1 ? "," : ""), name[i], bytes[i] >>rows
	}
	printf "]}\n" >>rows
}
