// What Debian's programs are asked to do, by scripts that run unchanged in a guest and on the host: whatever a script
// prints and its status are to be the same on both sides. Nothing that depends on the time or on the machine's name,
// memory or processor is printed.

import type { InitialFile } from "../../emulator/initfs.js";

export interface Program {
  readonly name: string;
  /** For Debian's bash. */
  readonly script: string;
}

/** Behind this line a script tells its story, which is not compared. */
export const STORY = "--- not compared:";

/** A suite of Python's own tests, as regrtest runs it: outcome and name of each test, and the log of a failure. */
const pythonSuite = (suite: string): Program => ({
  name: suite,
  script: `
python3.11 -m test -v --junit-xml suite.xml ${suite} > log 2>&1; status=$?
python3.11 - <<'END'
import xml.etree.ElementTree
for test in xml.etree.ElementTree.parse("suite.xml").iter("testcase"):
    outcomes = [child.tag for child in test if not child.tag.startswith("system-")]
    print(test.get("name"), *(outcomes or [test.get("result")]))
END
echo "${STORY}"
grep -E "skipped|^Ran" log; [ $status = 0 ] || { grep -E -A40 "^(ERROR|FAIL):|Fatal|Traceback" log | tail -200; tail -20 log; }
exit $status`,
});

export const PYTHON_SUITES = [
  ...["test_math", "test_float", "test_struct", "test_decimal", "test_threading"],
  ...["test_mmap", "test_socket", "test_zlib", "test_hashlib"],
].map(pythonSuite);

/** What threads of one process do to each other, which on several cores they do at once. */
export const THREADS: readonly Program[] = PYTHON_SUITES.filter(({ name }) => name === "test_threading");

/** Small enough for every day: doubles, long integers, decimals, and SQL. */
export const GLANCE: Program = {
  name: "glance",
  script: `
python3.11 - <<'END'
import decimal, fractions, math, struct
x = 0.5
for i in range(2000):
    x = math.sin(x) * 1.9 + math.exp(-x * x) - math.atan2(x, i + 1) + math.fmod(i, 0.7)
print(x.hex(), repr(math.fsum([0.1] * 10)), math.gamma(11.5), 2.0**0.5, float("1e-320") / 3)
decimal.getcontext().prec = 60
print(decimal.Decimal(2).sqrt(), decimal.Decimal(1).exp(), decimal.Decimal(10).ln())
print(pow(3, 5000, 2**521 - 1), fractions.Fraction(355, 113).limit_denominator(10))
print(struct.pack(">dfe", math.pi, math.pi, math.pi).hex(), f"{1 / 3:.40f}")
END
sqlite3 :memory: "with recursive n(i) as (select 1 union all select i + 1 from n where i < 500)
  select sum(i), avg(i * 1.1), total(1.0 / i), group_concat(i % 7, '') from n where i % 3 = 0"`,
};

const PERL: Program = {
  name: "perl",
  script: `
perl - <<'END'
use strict; use warnings; use Digest::SHA qw(sha512_hex); use Digest::MD5 qw(md5_hex); use Math::BigFloat; use Math::BigInt;
use Storable qw(freeze thaw); use List::Util qw(shuffle reduce); use POSIX (); use Encode; use MIME::Base64; use Compress::Zlib;
my $seed = 12345; my $next = sub { $seed = ($seed * 1103515245 + 12345) % 2147483648 };
my @numbers = map { $next->() / 2147483648 * 10 ** ($_ % 40 - 20) } 1 .. 5000;
print md5_hex(join " ", map { sprintf "%.17g", $_ } sort { $a <=> $b } @numbers), "\\n";
printf "%.15g %a %s %s\\n", exp(1) ** 0.5, atan2(1, 2), 1e308 * 10, -sin(1e22);
my $text = join " ", map { chr(97 + $next->() % 26) x ($next->() % 5) } 1 .. 20000;
my %count; $count{$1}++ while $text =~ /\\b(\\w+)\\b/g;
print scalar(keys %count), " ", sha512_hex(join ",", map { "$_=$count{$_}" } sort keys %count), "\\n";
(my $swapped = $text) =~ s/(\\w)(\\w+)(?=\\s)/ucfirst($2) . $1 . "ay"/ge; print sha512_hex($swapped), "\\n";
print Math::BigFloat->bpi(100), "\\n", Math::BigInt->new(2)->bpow(521)->bsub(1), "\\n", Math::BigInt->new(100)->bfac, "\\n";
my $packed = pack "w/a* N n C d> f< q> A10 H*", "text", 1 << 31, 65535, 255, 0.1, 0.1, -2, "x", "deadbeef"; print unpack("H*", $packed), "\\n";
my $deep = {list => [1 .. 50], map { $_ => {value => $_ ** 2} } 1 .. 50}; print thaw(freeze($deep))->{7}{value}, "\\n";
my $zipped = Compress::Zlib::compress($text x 5); print length($zipped), " ", Compress::Zlib::uncompress($zipped) eq $text x 5 ? "same" : "OTHER", "\\n";
print encode_base64(encode("UTF-16LE", "gr\\x{fc}n \\x{20ac} \\x{1f600}")); print POSIX::strftime("%F %T", gmtime 2 ** 31), "\\n";
my $pid = fork // die; if (!$pid) { exit 7 } waitpid $pid, 0; print $? >> 8, "\\n"; eval { die {code => 5} }; print $@->{code}, "\\n";
print reduce { $a * 31 + $b & 0xffffffff } unpack "C*", $text; print "\\n"; exit 3;
END`,
};

const OPENSSL: readonly Program[] = [
  {
    name: "openssl enc",
    script: `
perl -e 'print pack "N*", map { $_ * 2654435761 % 4294967296 } 1 .. 65537' > plain
for cipher in aes-128-cbc aes-192-cfb aes-256-ctr aes-256-ofb aes-128-ecb aria-256-ctr camellia-256-cbc chacha20 des-ede3-cbc sm4-cbc
do
  openssl enc -$cipher -pbkdf2 -iter 1000 -S 0102030405060708 -pass pass:secret -in plain -out cipher || exit 1
  openssl enc -d -$cipher -pbkdf2 -iter 1000 -S 0102030405060708 -pass pass:secret -in cipher | cmp - plain && echo $cipher $(sha256sum < cipher)
done
for digest in md5 sha1 sha256 sha512 sha3-256 blake2b512 ripemd160 sm3 shake256; do openssl dgst -$digest plain; done
openssl dgst -sha256 -hmac key plain; openssl enc -base64 -in plain | md5sum
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa.pem 2> /dev/null
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem; openssl genpkey -algorithm ED25519 -out ed.pem
for key in rsa ec; do
  openssl dgst -sha256 -sign $key.pem -out signature plain; openssl pkey -in $key.pem -pubout -out public
  openssl dgst -sha256 -verify public -signature signature plain; echo x >> plain; openssl dgst -sha256 -verify public -signature signature plain
done 2> /dev/null
head -c 1000 plain > small; openssl pkeyutl -sign -rawin -in small -inkey ed.pem -out signature && openssl pkeyutl -verify -rawin -in small -inkey ed.pem -sigfile signature
openssl req -x509 -key ec.pem -subj /CN=guest -days 1000 -out certificate && openssl verify -CAfile certificate certificate
openssl prime 170141183460469231731687303715884105727; echo status $?`,
  },
  {
    name: "openssl speed",
    script: `
for what in "-evp aes-128-cbc" "-evp aes-256-gcm" "-evp chacha20-poly1305" md5 sha1 sha256 sha512
do openssl speed -seconds 1 -bytes 1024 $what > out 2> err; echo "$what" $? $(tail -1 out | cut -d' ' -f1) $(tail -1 out | wc -w); cat out err >> story; done
for what in rsa1024 ecdsap256 ecdhx25519
do openssl speed -seconds 1 $what > out 2> err; echo $what $? $(tail -1 out | wc -w); cat out err >> story; done
openssl speed -seconds 1 -bytes 1024 -multi 2 sha256 > out 2> err; echo multi $?
echo "${STORY}"; cat story`,
  },
];

export const GCC: Program = {
  name: "gcc",
  script: `
cat > program.c <<'END'
#include <complex.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static _Atomic long total;
static unsigned state = 1;
static unsigned next(void) { return state = state * 1664525u + 1013904223u; }
static int compare(const void *a, const void *b) { double x = *(double *)a, y = *(double *)b; return (x > y) - (x < y); }
static void *work(void *from) { for (long i = (long)from; i < 20000; i += 4) total += i * i % 7; return 0; }
static __int128 power(__int128 base, int n) { __int128 r = 1; while (n--) r *= base; return r; }
int main(int count, char **words) {
  double values[1000]; float sum = 0; long double product = 1; char text[64]; pthread_t threads[4];
  for (int i = 0; i < 1000; i++) { values[i] = next() / 4294967296.0; sum += values[i]; product *= 1 + values[i] / 1000; }
  qsort(values, 1000, sizeof *values, compare);
  printf("%a %a %La %.20Lg\\n", values[500], sum, product, expl(product));
  printf("%.17g %.17g %.17g\\n", sin(1e10), pow(values[3], 1.7), tgamma(4.3));
  double complex z = cexp(values[7] + values[8] * I); printf("%a %a\\n", creal(z), cimag(z));
  for (long i = 0; i < 4; i++) pthread_create(&threads[i], 0, work, (void *)i);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
  printf("%ld %llu\\n", total, (unsigned long long)(power(123456789, 4) / 987654321));
  snprintf(text, sizeof text, "%s %d %#x", words[count - 1], -42, next()); puts(text); puts(strstr(text, "-4"));
  return (int)strtol("0x2a", 0, 0);
}
END
for options in -O0 "-O2 -g" "-O3 -ffast-math" "-Os -fPIE -pie" "-O2 -mfpmath=387" "-O2 -static" "-O2 -flto -frandom-seed=program" "-O1 -fsanitize=undefined"
do
  gcc $options -Wall -S program.c -o program.s && sha256sum program.s
  gcc $options program.c -o program -lm -lpthread && ./program argument; echo "$options" $?
done
echo 'int main(void) { return undeclared; }' > wrong.c; gcc wrong.c; echo $?
gcc -O2 program.c -o program -lm && sha256sum program && objdump -d program | sha256sum && strip program && readelf -S program | md5sum`,
};

export const SQLITE: Program = {
  name: "sqlite3",
  script: `
cat > commands <<'END'
create table item(id integer primary key, name text, price real, kind integer); create index by_kind on item(kind, price);
begin; with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
insert into item select i, printf('item-%05d-%x', i, i * 2654435761), (i * 7919 % 10007) / 13.0, i % 37 from n; commit;
select kind, count(*), sum(price), avg(price), max(name) from item group by kind order by 3 desc limit 7;
select a.id, b.id, a.price + b.price from item a join item b on a.kind = b.kind and a.id < b.id where a.price > 760 order by 3, 1, 2 limit 9;
update item set price = price * 1.1 where kind in (3, 5, 8); delete from item where id % 11 = 0; select changes(), total(price) from item;
select id, rank() over (partition by kind order by price desc) r, lag(price) over (order by id) from item limit 7 offset 5000;
create virtual table words using fts5(body); insert into words select name || ' number ' || kind from item; select count(*) from words where words match 'number 17';
select json_extract(json_group_array(json_object('id', id, 'price', price)), '$[3]') from item where kind = 4;
create virtual table box using rtree(id, x0, x1); insert into box select id, price, price + 5 from item where id < 3000; select count(*) from box where x0 < 300 and x1 > 299;
select sqrt(2), pow(3, 0.3), ln(10), 1e308 * 10, -9223372036854775808 / 3, cast('1e-5' as real), round(2.675, 2), hex(zeroblob(3)), upper('abc') like 'A%';
pragma integrity_check; vacuum; select count(*) from item; select strftime('%Y-%m-%d %H:%M:%f', 2460000.123456);
END
sqlite3 data.db < commands; echo $?
sqlite3 data.db .dump | sha256sum; sqlite3 data.db "select nothing from item"; echo $?`,
};

export const PROGRAMS: readonly Program[] = [GLANCE, SQLITE, PERL, ...OPENSSL, GCC, ...PYTHON_SUITES];

/** Where the scripts lie when they run. */
export const SCRIPTS = "/tmp/programs";

/** Starts a script in a directory of its own, with a network of itself, and with an environment that is told. */
const START = `#!/bin/bash
/bin/busybox ip link set lo up
mkdir -p /tmp/run && cd /tmp/run && rm -rf ./* || exit 99
exec /usr/bin/env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root LC_ALL=C.UTF-8 TERM=dumb /bin/bash "${SCRIPTS}/$1" < /dev/null 2>&1
`;

/** The guest's side of it, by its busybox: the disk as it is mounted, and one script's output and status. */
const MOUNT = `mkdir -p /disk && mount -t ext4 /dev/vda /disk && cd /disk && mount -t devtmpfs dev dev && mount -t proc proc proc &&
mount -t sysfs sys sys && mount -t tmpfs tmp tmp && mkdir -p dev/shm dev/pts && mount -t tmpfs shm dev/shm && mount -t devpts pts dev/pts &&
cp -r /programs tmp && echo mounted`;
const RUN = `chroot /disk ${SCRIPTS}/start $1 > /disk/tmp/output; status=$?; cat /disk/tmp/output; echo "status: $status"`;

export function scripts(programs: readonly Program[]): InitialFile[] {
  const files = [
    ["start", START],
    ["mount", MOUNT],
    ["run", RUN],
    ...programs.map(({ name, script }) => [fileName(name), script]),
  ];
  return files.map(([path, text]) => ({ path: path!, data: Buffer.from(text!) }));
}

export const fileName = (name: string): string => name.replaceAll(" ", "-");

/** What is compared of a script's output. */
export const compared = (output: string): string[] => output.split(STORY)[0]!.trimEnd().split("\n");
