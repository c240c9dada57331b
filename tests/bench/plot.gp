# The plots of docs/performance, from the files that figures.py writes.
#
# usage: gnuplot -e "data = 'FOLDER'; out = 'FOLDER'; note = 'TEXT, BEHIND THE TITLES'" plot.gp
#
# The ground is transparent, and the colours are of a middle tone, so that they can be read on white
# and on black.

text = "#808080"
colours = "#8a8a8a #e8590c #228be6 #2f9e44 #ae3ec9 #0c9aa8 #b58900 #d6336c #7a7a3a #845ef7"

set encoding utf8
set border linecolor rgb text
set key textcolor rgb text
set grid linecolor rgb text linetype 1 linewidth 0.3
set tics textcolor rgb text
set xlabel textcolor rgb text
set ylabel textcolor rgb text
set title textcolor rgb text

# ---- groups of three horizontal bars ----

bar = 0.26
top(i, k) = -i + (1 - k) * bar
shades = "#e8590c #228be6 #2f9e44"

set terminal svg size 860,560 dynamic noenhanced font "sans-serif,13"
set style fill solid 0.85 noborder
set xtics nomirror
set ytics nomirror scale 0
set grid xtics noytics
set border 1
set key inside right top vertical samplen 1.2

set output out . "/cost.svg"
set title "CPU time of the server for each message, as a multiple of a bare epoll loop's" . note offset 0,0.3
set xrange [0:8]
set yrange [*:0.6] noextend
set arrow 1 from 1, graph 0 to 1, graph 1 nohead linecolor rgb text linewidth 2 dashtype 2
columns = "'64 connections' '16 lines in a send' '1000 connections'"
clip(v) = v > 7.6 ? 7.6 : v
hundredths(v) = v == v ? sprintf("%.2f", v) : ""
plot for [k = 0:2] data . "/cost.dat" using (0):(top($0, k)):(0):(clip(column(k + 2))):(top($0, k) - bar / 2):(top($0, k) + bar / 2) \
    with boxxyerror linecolor rgb word(shades, k + 1) title word(columns, k + 1), \
    for [k = 0:2] "" using (clip(column(k + 2))):(top($0, k)):(hundredths(column(k + 2))) \
    with labels left offset 0.4,0 font ",10" textcolor rgb text notitle, \
    "" using (NaN):(top($0, 1)):ytic(1) notitle
unset arrow 1

set output out . "/latency.svg"
set title "Latency in an open loop at 70 % of the bare epoll loop's capacity, µs" . note offset 0,0.3
set logscale x
set xrange [1:*]
columns = "p50 p99 p99.9"
whole(v) = v == v ? sprintf("%.0f", v) : ""
plot for [k = 0:2] data . "/latency.dat" using (1):(top($0, k)):(1):(column(k + 2)):(top($0, k) - bar / 2):(top($0, k) + bar / 2) \
    with boxxyerror linecolor rgb word(shades, k + 1) title word(columns, k + 1), \
    for [k = 0:2] "" using (column(k + 2)):(top($0, k)):(whole(column(k + 2))) \
    with labels left offset 0.4,0 font ",10" textcolor rgb text notitle, \
    "" using (1):(top($0, 1)):(stringcolumn(2) eq "NaN" ? "does not keep up" : "") \
    with labels left offset 0.4,0 font ",10" textcolor rgb text notitle, \
    "" using (NaN):(top($0, 1)):ytic(1) notitle

# ---- curves ----

reset
set encoding utf8
set border 3 linecolor rgb text
set grid linecolor rgb text linetype 1 linewidth 0.3
set tics nomirror textcolor rgb text
set logscale xy
set autoscale xfixmin
set autoscale xfixmax
set autoscale yfixmin
set autoscale yfixmax
set format x "%.0s%c"
set ytics (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
set key outside right textcolor rgb text
set ylabel "CPU time of each message, µs" textcolor rgb text
set terminal svg size 860,420 dynamic noenhanced font "sans-serif,13"

curves = "connections lines sizes"
labels = "'connections, each with a line of 64 bytes under way' 'lines in a send, 64 connections' 'bytes of a message'"
do for [f = 1:3] {
	file = data . "/" . word(curves, f) . ".dat"
	set output out . "/" . word(curves, f) . ".svg"
	set xlabel word(labels, f) textcolor rgb text
	stats file skip 1 nooutput
	plot for [i = 2:STATS_columns] file using 1:i with linespoints linecolor rgb word(colours, i - 1) \
	    linewidth (i == 3 ? 3 : 1.5) pointtype 7 pointsize 0.5 title columnheader(i)
}
