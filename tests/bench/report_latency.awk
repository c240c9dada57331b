# From lines "SERVER KEPT_UP P50 P99 P999", medians of the rounds: a block of lines to read, and a
# line of JSON for $rows. A server that has not kept up in most rounds has no latency: it grows for
# as long as one measures.

BEGIN { n = split(names, name, "|") }

{
	i = $1 + 1
	k = ++count[i]
	kept[i] += $2 == "yes"
	for (p = 1; p <= 3; p++)
		ns[i, p, k] = $(p + 2)
}

END {
	printf "%s: %d messages due in a second; p50, p99, p99.9 in us\n", title, rate
	printf "{\"kind\":\"latency\",%s,\"title\":\"%s\",\"load\":\"%s\",\"rate\":%d,\"servers\":[", about, title,
	    load, rate >>rows
	for (i = 1; i <= n; i++) {
		for (p = 1; p <= 3; p++) {
			for (k = 1; k <= count[i]; k++)
				one[k] = ns[i, p, k]
			result[p] = median(one, count[i])
		}
		keeps = kept[i] * 2 > count[i]
		printf "  %-28s %8.0f %8.0f %8.0f%s\n", name[i], result[1] / 1e3, result[2] / 1e3,
		    result[3] / 1e3, (keeps ? "" : " (does not keep up)")
		printf "%s{\"name\":\"%s\",\"kept_up\":%s,\"p50_ns\":%.0f,\"p99_ns\":%.0f,\"p999_ns\":%.0f}",
		    (i > 1 ? "," : ""), name[i], (keeps ? "true" : "false"), result[1], result[2], result[3] >>rows
	}
	printf "]}\n" >>rows
}
