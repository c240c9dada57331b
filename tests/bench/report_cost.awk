# From lines "ROUND NS_OF_0 NS_OF_1 ...", a block of lines to read, and a line of JSON for $rows.
# The ratio of a round is the median of its slices, the result is the median of the rounds.

BEGIN { n = split(names, name, "|"); split(limits, limit, "|") }

{
	for (i = 1; i <= n; i++)
		ns[i, NR] = $(i + 1)
}

END {
	rounds = NR / parts
	for (i = 1; i <= n; i++) {
		for (k = 1; k <= NR; k++)
			all[k] = ns[i, k]
		cost[i] = median(all, NR)
		for (r = 1; r <= rounds; r++) {
			for (k = 1; k <= parts; k++)
				slice[k] = ns[i, (r - 1) * parts + k] / ns[1, (r - 1) * parts + k]
			per_round[r] = median(slice, parts)
		}
		ratio[i] = median(per_round, rounds)
		low[i] = per_round[1]
		high[i] = per_round[rounds]
	}
	printf "%s: CPU of a %s, %s %.0f ns (%d rounds)\n", title, unit, name[1], cost[1], rounds
	printf "{\"kind\":\"cpu\",%s,\"title\":\"%s\",\"unit\":\"%s\",\"load\":\"%s\",\"way\":\"%s\"," \
	    "\"rounds\":%d,\"servers\":[", about, title, unit, load, way, rounds >>rows
	for (i = 1; i <= n; i++) {
		printf "%s{\"name\":\"%s\",\"ns\":%.0f,\"ratio\":%.3f,\"low\":%.3f,\"high\":%.3f}",
		    (i > 1 ? "," : ""), name[i], cost[i], ratio[i], low[i], high[i] >>rows
		if (i == 1)
			continue
		printf "  %-28s %5.2f times (%.2f to %.2f; %.0f ns)", name[i], ratio[i], low[i], high[i], cost[i]
		if (limit[i] ~ /^[0-9.]+$/)
			printf ", limit %s%s", limit[i], (ratio[i] > limit[i] + 0.005 ? ": MISSED" : "")
		if (name[i] !~ /ours/ && ours)
			printf ", %.2f times ours", ratio[i] / ours
		if (name[i] == "ours" || (name[i] ~ /^ours/ && !ours))
			ours = ratio[i]
		printf "\n"
	}
	printf "]}\n" >>rows
}
