// The system calls of Linux x86-64 (asm/unistd_64.h) that this kernel does not have, by number and name: a program that
// asks for one is told ENOSYS, and the console says once which it was. A call that gets a row in syscalls.ts
// leaves this list; a number in both stops the boot.

/** `each`: table index of (number: u32, name: usize, length: u32) => void; `name` points at UTF-16 letters. */
export function absentCalls(each: u32): void {
  visit("27 mincore 29 shmget 30 shmat 31 shmctl", each);
  visit("40 sendfile 41 socket 42 connect 43 accept 44 sendto", each);
  visit(
    "45 recvfrom 46 sendmsg 47 recvmsg 48 shutdown 49 bind 50 listen 51 getsockname 52 getpeername",
    each,
  );
  visit("53 socketpair 54 setsockopt 55 getsockopt 57 fork 58 vfork 59 execve 61 wait4 64 semget", each);
  visit("65 semop 66 semctl 67 shmdt 68 msgget 69 msgsnd 70 msgrcv 71 msgctl", each);
  visit("78 getdents", each);
  visit("88 symlink 90 chmod 91 fchmod 92 chown 93 fchown 94 lchown", each);
  visit("101 ptrace 103 syslog 105 setuid 106 setgid 109 setpgid 112 setsid 113 setreuid", each);
  visit("114 setregid 116 setgroups 117 setresuid 119 setresgid", each);
  visit("122 setfsuid 123 setfsgid 125 capget 126 capset", each);
  visit("132 utime 133 mknod 134 uselib 135 personality", each);
  visit("136 ustat 137 statfs 138 fstatfs 139 sysfs 140 getpriority 141 setpriority", each);
  visit("148 sched_rr_get_interval", each);
  visit("153 vhangup 154 modify_ldt 155 pivot_root 156 _sysctl 159 adjtimex", each);
  visit("160 setrlimit 161 chroot 163 acct 164 settimeofday 165 mount 166 umount2 167 swapon", each);
  visit(
    "168 swapoff 169 reboot 170 sethostname 171 setdomainname 172 iopl 173 ioperm 174 create_module",
    each,
  );
  visit("175 init_module 176 delete_module 177 get_kernel_syms 178 query_module 179 quotactl", each);
  visit(
    "180 nfsservctl 181 getpmsg 182 putpmsg 183 afs_syscall 184 tuxcall 185 security 187 readahead",
    each,
  );
  visit("188 setxattr 189 lsetxattr 190 fsetxattr 191 getxattr 192 lgetxattr 193 fgetxattr", each);
  visit(
    "194 listxattr 195 llistxattr 196 flistxattr 197 removexattr 198 lremovexattr 199 fremovexattr",
    each,
  );
  visit("205 set_thread_area 206 io_setup 207 io_destroy 208 io_getevents 209 io_submit 210 io_cancel", each);
  visit("211 get_thread_area 212 lookup_dcookie 214 epoll_ctl_old 215 epoll_wait_old", each);
  visit("216 remap_file_pages 219 restart_syscall 220 semtimedop", each);
  visit("222 timer_create 223 timer_settime 224 timer_gettime 225 timer_getoverrun 226 timer_delete", each);
  visit("227 clock_settime 235 utimes 236 vserver 237 mbind", each);
  visit("238 set_mempolicy 239 get_mempolicy 240 mq_open 241 mq_unlink 242 mq_timedsend", each);
  visit("243 mq_timedreceive 244 mq_notify 245 mq_getsetattr 246 kexec_load 247 waitid 248 add_key", each);
  visit("249 request_key 250 keyctl 251 ioprio_set 252 ioprio_get 253 inotify_init", each);
  visit("254 inotify_add_watch 255 inotify_rm_watch 256 migrate_pages 259 mknodat", each);
  visit("260 fchownat 261 futimesat 266 symlinkat 268 fchmodat", each);
  visit("272 unshare 275 splice 276 tee 277 sync_file_range", each);
  visit("278 vmsplice 279 move_pages 280 utimensat 282 signalfd 283 timerfd_create", each);
  visit("285 fallocate 286 timerfd_settime 287 timerfd_gettime 288 accept4 289 signalfd4", each);
  visit("294 inotify_init1", each);
  visit("298 perf_event_open 299 recvmmsg 300 fanotify_init 301 fanotify_mark", each);
  visit("303 name_to_handle_at 304 open_by_handle_at 305 clock_adjtime 307 sendmmsg", each);
  visit("308 setns 310 process_vm_readv 311 process_vm_writev 312 kcmp 313 finit_module", each);
  visit("314 sched_setattr 315 sched_getattr 317 seccomp 319 memfd_create", each);
  visit("320 kexec_file_load 321 bpf 322 execveat 323 userfaultfd 326 copy_file_range", each);
  visit("327 preadv2 328 pwritev2 329 pkey_mprotect 330 pkey_alloc 331 pkey_free", each);
  visit("333 io_pgetevents 424 pidfd_send_signal 425 io_uring_setup 426 io_uring_enter", each);
  visit("427 io_uring_register 428 open_tree 429 move_mount 430 fsopen 431 fsconfig 432 fsmount", each);
  visit("433 fspick 434 pidfd_open 437 openat2 438 pidfd_getfd", each);
  visit("440 process_madvise 441 epoll_pwait2 442 mount_setattr 443 quotactl_fd", each);
  visit(
    "444 landlock_create_ruleset 445 landlock_add_rule 446 landlock_restrict_self 447 memfd_secret",
    each,
  );
  visit("448 process_mrelease 449 futex_waitv 450 set_mempolicy_home_node", each);
}

/** "57 fork 58 vfork": pairs with one space between words. */
function visit(text: string, each: u32): void {
  let at = 0;
  while (at < text.length) {
    let number: u32 = 0;
    while (text.charCodeAt(at) !== 0x20) number = number * 10 + u32(text.charCodeAt(at++) - 0x30);
    const start = ++at;
    while (at < text.length && text.charCodeAt(at) !== 0x20) at++;
    call_indirect(each, number, changetype<usize>(text) + (usize(start) << 1), u32(at - start));
    at++;
  }
}
