/* Shared memory as POSIX has it (shm_open(3)), which C libraries look for in /dev/shm: every machine adds to a word of one object, by
 * that name; it is the file of /shm. Usage: shmopen COUNT; each prints `shmopen: counted N, as a file yes, gone yes`. */
#include "cluster.h"
#include <sys/stat.h>

int main(int argc, char **argv)
{
	unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 100;
	int fd = shm_open("/counted", O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, 4096) < 0)
		fail("shm_open");
	uint32_t *word = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), read_back = 0;
	if (word == MAP_FAILED)
		fail("mmap");
	struct meeting *met = (struct meeting *)(word + 16);
	for (unsigned i = 0; i < count; i++)
		__atomic_add_fetch(word, 1, __ATOMIC_SEQ_CST);
	meet(met, nodes());
	int file = open("/shm/counted", O_RDONLY);
	struct stat directory;
	int is_file = file >= 0 && pread(file, &read_back, 4, 0) == 4 && read_back == *word && stat("/dev/shm", &directory) == 0 &&
		      S_ISDIR(directory.st_mode);
	meet(met, nodes());
	if (node() == 1 && shm_unlink("/counted") < 0)
		fail("shm_unlink");
	meet(met, nodes());
	int gone = shm_open("/counted", O_RDWR, 0) < 0 && errno == ENOENT && open("/shm/counted", O_RDWR) < 0;
	printf("shmopen: counted %u, as a file %s, gone %s\n", *word, is_file ? "yes" : "no", gone ? "yes" : "no");
	return 0;
}
