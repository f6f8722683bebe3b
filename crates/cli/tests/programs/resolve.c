/* Prints the addresses of a name, or the name of an address, as the C library finds them: one line each, or why not. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(int count, char **words)
{
	char text[NI_MAXHOST];
	struct addrinfo hints, *found, *one;
	int failed, flags;

	if (count != 3)
		return 2;
	memset(&hints, 0, sizeof hints);
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = strcmp(words[1], "name") ? 0 : AI_NUMERICHOST;
	flags = strcmp(words[1], "name") ? NI_NUMERICHOST : NI_NAMEREQD;
	failed = getaddrinfo(words[2], NULL, &hints, &found);
	for (one = failed ? NULL : found; one && !failed; one = one->ai_next) {
		failed = getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, NULL, 0, flags);
		if (!failed)
			puts(text);
	}
	if (failed)
		puts(gai_strerror(failed));
	return failed != 0;
}
