/* RES-04: a program whose own image asks for 4 GiB, and writes to all of it. Without a C library:
 * its start would not find itself past so much. Exits with 0 when it got everything. */
static char big[4ul << 30];

static void leave(long code)
{
#ifdef __x86_64__
    __asm__ volatile("syscall" ::"a"(231L), "D"(code) : "rcx", "r11", "memory"); /* exit_group */
#else
    register long x8 __asm__("x8") = 94;
    register long x0 __asm__("x0") = code;
    __asm__ volatile("svc 0" ::"r"(x8), "r"(x0) : "memory");
#endif
}

void _start(void);
void _start(void)
{
    for (unsigned long i = 0; i < sizeof(big); i += 4096) {
        ((volatile char *)big)[i] = 1;
    }
    leave(0);
}
