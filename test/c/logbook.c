/* A directory that machines share: each one writes a page of its own and tells when it is done by renaming it; the first one waits for all, and
 * prints what the directory has. An ordinary program, that needs no other machine. Usage: logbook DIRECTORY PAGES */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_done(const struct dirent *entry) { return strstr(entry->d_name, ".done") != NULL; }

int main(int argc, char **argv)
{
	const char *book = argc > 1 ? argv[1] : "/tmp/book", *me = getenv("BUSLOCK_NODE");
	int pages = argc > 2 ? atoi(argv[2]) : 1;
	char name[64], done[80];
	if (mkdir(book, 0755) < 0 && errno != EEXIST) {
		perror(book);
		return 1;
	}
	if (chdir(book) < 0) {
		perror(book);
		return 1;
	}
	snprintf(name, sizeof name, "page-%s", me ? me : "1");
	snprintf(done, sizeof done, "%s.done", name);
	FILE *page = fopen(name, "w");
	if (!page) {
		perror(name);
		return 1;
	}
	for (int i = 1; i <= 3; i++)
		fprintf(page, "line %d of machine %s\n", i, me ? me : "1");
	if (fclose(page) != 0 || rename(name, done) < 0) {
		perror(name);
		return 1;
	}
	if (me && strcmp(me, "1") != 0)
		return 0;
	struct dirent **found;
	int count;
	while ((count = scandir(".", &found, is_done, alphasort)) < pages) {
		for (int i = 0; i < count; i++)
			free(found[i]);
		free(found);
		usleep(1000);
	}
	for (int i = 0; i < count; i++) {
		char line[128];
		struct stat status;
		if (!(page = fopen(found[i]->d_name, "r")) || stat(found[i]->d_name, &status) < 0) {
			perror(found[i]->d_name);
			return 1;
		}
		printf("logbook: %s, %d bytes:", found[i]->d_name, (int)status.st_size);
		while (fgets(line, sizeof line, page))
			printf(" %.*s;", (int)strcspn(line, "\n"), line);
		printf("\n");
		fclose(page);
		unlink(found[i]->d_name);
	}
	chdir("..");
	printf("logbook: removed: %s\n", rmdir(book) == 0 ? "yes" : strerror(errno));
	return 0;
}
