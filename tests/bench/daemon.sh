#!/bin/sh
# Peers that are daemons with a configuration of their own: writes it into FOLDER and becomes the
# daemon, as one process in the foreground. echo: Apache with mod_echo. The others end TLS before
# the plain server at UPSTREAM; CERT is a certificate with its key.
#
# usage: daemon.sh apache FOLDER PORT
#        daemon.sh nginx|haproxy|stunnel FOLDER PORT UPSTREAM CERT
set -u

fail() {
	echo "daemon.sh: $*" >&2
	exit 1
}

[ $# -ge 3 ] || fail "usage: daemon.sh NAME FOLDER PORT [UPSTREAM CERT]"
name=$1 folder=$2/$1.$3 port=$3 upstream=${4-} cert=${5-}
mkdir -p "$folder" || exit 1
PATH=$PATH:/usr/sbin
modules=${MODULES:-/usr/lib}

case $name in
apache) # a thread for each connection; -X: no further processes
	unprivileged=
	[ "$(id -u)" -ne 0 ] || unprivileged=$(printf 'User nobody\nGroup nogroup')
	cat >"$folder/conf" <<-END
	ServerRoot $folder
	ServerName localhost
	Listen 127.0.0.1:$port
	PidFile $folder/pid
	Mutex pthread
	ErrorLog /dev/stderr
	LogLevel crit
	LoadModule mpm_event_module $modules/apache2/modules/mod_mpm_event.so
	LoadModule authz_core_module $modules/apache2/modules/mod_authz_core.so
	LoadModule echo_module $modules/apache2/modules/mod_echo.so
	$unprivileged
	ServerLimit 1
	StartServers 1
	ThreadLimit 1024
	ThreadsPerChild 1024
	MaxRequestWorkers 1024
	ListenBacklog 1024
	Timeout 60
	ProtocolEcho On
	END
	exec apache2 -X -f "$folder/conf"
	;;
nginx)
	cat >"$folder/conf" <<-END
	load_module $modules/nginx/modules/ngx_stream_module.so;
	daemon off;
	master_process off;
	pid $folder/pid;
	error_log stderr crit;
	worker_rlimit_nofile 20000;
	events { worker_connections 20000; }
	stream {
		access_log off;
		server {
			listen 127.0.0.1:$port ssl backlog=1024;
			ssl_certificate $cert;
			ssl_certificate_key $cert;
			ssl_protocols TLSv1.3;
			ssl_session_cache off;
			tcp_nodelay on;
			proxy_pass 127.0.0.1:$upstream;
		}
	}
	END
	exec nginx -c "$folder/conf" -e stderr
	;;
haproxy)
	cat >"$folder/conf" <<-END
	global
		nbthread 1
		maxconn 9000
		tune.ssl.cachesize 0
	defaults
		mode tcp
		timeout connect 5s
		timeout client 60s
		timeout server 60s
	listen echo
		bind 127.0.0.1:$port ssl crt $cert ssl-min-ver TLSv1.3 backlog 1024
		server upstream 127.0.0.1:$upstream
	END
	exec haproxy -db -q -f "$folder/conf"
	;;
stunnel) # a thread for each connection
	cat >"$folder/conf" <<-END
	foreground = yes
	debug = crit
	syslog = no
	pid =
	socket = l:TCP_NODELAY=1
	socket = r:TCP_NODELAY=1
	sslVersionMin = TLSv1.3
	sessionCacheSize = 1
	[echo]
	accept = 127.0.0.1:$port
	connect = 127.0.0.1:$upstream
	cert = $cert
	END
	exec stunnel4 "$folder/conf"
	;;
*) fail "no daemon is called $name" ;;
esac
