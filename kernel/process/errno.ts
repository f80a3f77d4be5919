// Error numbers of Linux x86-64 (asm-generic/errno-base.h, errno.h). A system call returns their negative.

export const EPERM: i64 = 1;
export const ENOENT: i64 = 2;
export const ESRCH: i64 = 3;
export const EINTR: i64 = 4;
export const EIO: i64 = 5;
export const ENXIO: i64 = 6;
export const E2BIG: i64 = 7;
export const EBADF: i64 = 9;
export const EAGAIN: i64 = 11;
export const ENOMEM: i64 = 12;
export const EACCES: i64 = 13;
export const EFAULT: i64 = 14;
export const EBUSY: i64 = 16;
export const EEXIST: i64 = 17;
export const EXDEV: i64 = 18;
export const ENODEV: i64 = 19;
export const ENOTDIR: i64 = 20;
export const EISDIR: i64 = 21;
export const EINVAL: i64 = 22;
export const ENFILE: i64 = 23;
export const EMFILE: i64 = 24;
export const ENOTTY: i64 = 25;
export const ETXTBSY: i64 = 26;
export const EFBIG: i64 = 27;
export const ENOSPC: i64 = 28;
export const ESPIPE: i64 = 29;
export const EROFS: i64 = 30;
export const EPIPE: i64 = 32;
export const ERANGE: i64 = 34;
export const ENAMETOOLONG: i64 = 36;
export const ENOSYS: i64 = 38;
export const ENOTEMPTY: i64 = 39;
export const ELOOP: i64 = 40;
export const ENODATA: i64 = 61;
export const EOVERFLOW: i64 = 75;
export const EOPNOTSUPP: i64 = 95;
export const ETIMEDOUT: i64 = 110;
/** A directory that has been removed; programs are told ENOENT. */
export const ESTALE: i64 = 116;

/** Within the kernel only: EINTR, unless the signal's handler or the lack of one lets the call run again. */
export const ERESTART: i64 = 512;
