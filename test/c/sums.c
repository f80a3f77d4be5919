/* Programs have input: sums the numbers on the standard input, and in each file that is named; then reads on where nothing is left.
 *
 *   sums: - 3 numbers 60          sums: FILE 2 numbers 7, 15 bytes
 *
 * Usage: sums [FILE...] */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int sum(FILE *from, const char *name)
{
	long number, count = 0, all = 0;
	while (fscanf(from, "%ld", &number) == 1) {
		count++;
		all += number;
	}
	struct stat status = {0};
	fstat(fileno(from), &status);
	printf("sums: %s %ld numbers %ld", name, count, all);
	if (from != stdin)
		printf(", %ld bytes", (long)status.st_size);
	printf("\n");
	return feof(from) && fgetc(from) == EOF ? 0 : 1;
}

int main(int argc, char **argv)
{
	int status = sum(stdin, "-");
	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "r");
		if (!file) {
			perror(argv[i]);
			return 2;
		}
		status |= sum(file, argv[i]);
		fclose(file);
	}
	return status;
}
