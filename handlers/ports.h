/* SPDX-License-Identifier: MIT */
/*
 * ports.h - the ports of the stock handlers. Most have the digits of the RFC's port twice,
 * since ports below 1024 need privileges.
 */
#ifndef HANDLERS_PORTS_H
#define HANDLERS_PORTS_H

#define PORT_DAYTIME 1313
#define PORT_CHARGEN 1919
#define PORT_HELLO 2525
#define PORT_TIME 3737
#define PORT_KV 6379
#define PORT_ECHO 7007
#define PORT_USERS 7979
#define PORT_DISCARD 9009

#define STOCK_PORTS \
	PORT_DAYTIME, PORT_CHARGEN, PORT_HELLO, PORT_TIME, PORT_KV, PORT_ECHO, PORT_USERS, \
	    PORT_DISCARD

#endif
