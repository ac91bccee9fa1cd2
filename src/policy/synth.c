/* Owns the table of synthetic addresses. The reader believes nothing that the shared pages say:
 * they belong to the process that parses hostile bytes. */
#include "policy/synth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/util.h"

#define SYNTH_BASE  0xc6120000u /* 198.18.0.0/15, RFC 2544 */
#define SYNTH_MASK  0xfffe0000u
#define SYNTH6_LEN  12                 /* bytes of an IPv6 address before those of the IPv4 one */
#define PER_NET     254                /* last octets 1..254: some clients refuse .0 and .255 */
#define INDEX_SLOTS (SL_SYNTH_MAX * 2) /* a power of two, at most half full */

static const uint8_t synth6[SYNTH6_LEN] = {0x20, 0x01, 0x00, 0x02}; /* 2001:2::/48, RFC 5180 */

struct entry {
    _Atomic uint32_t ready; /* 1 once the name is complete; never goes back */
    char name[SL_HOST_NAME_MAX + 2];
};

/* What is shared. Each count is one number, so that a reader sees it whole. */
struct pages {
    struct entry entries[SL_SYNTH_MAX];
    _Atomic uint64_t allowed;
    _Atomic uint64_t denied;
};

struct sl_synth_map {
    struct pages *pages;
    struct entry *entries; /* of the pages */
    uint32_t count;        /* writer: next free */
    uint16_t *index;       /* writer: slot of a name's hash -> entry + 1; NULL for readers */
};

#define MAP_SIZE sizeof(struct pages)

int sl_synth_create(void)
{
    sl_autoclose int fd = memfd_create("sandlock-names", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return -errno;
    }
    if (ftruncate(fd, (off_t)MAP_SIZE) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
        return -errno;
    }
    return sl_steal_fd(&fd);
}

/* FNV-1a; the names are the policy's and the attacker's, but the table is bounded and half empty.
 */
static uint32_t hash(const char *name)
{
    uint32_t h = 2166136261u;
    for (; *name != '\0'; name++) {
        h = (h ^ (uint8_t)*name) * 16777619u;
    }
    return h;
}

/* Copies an entry's name as it is now. False when it is none. */
static bool copy_name(const struct entry *entry, char ret[SL_HOST_NAME_MAX])
{
    char name[SL_HOST_NAME_MAX];
    char normal[SL_HOST_NAME_MAX];
    if (atomic_load_explicit(&entry->ready, memory_order_acquire) != 1) {
        return false;
    }
    for (size_t i = 0; i < sizeof(name); i++) { /* each byte once: the pages may change under us */
        name[i] = ((const volatile char *)entry->name)[i];
    }
    name[sizeof(name) - 1] = '\0';
    if (sl_host_name_normalise(name, normal) < 0 || strcmp(name, normal) != 0) {
        return false;
    }
    memcpy(ret, name, sizeof(name));
    return true;
}

/* The slot where the name is, or the free one where it belongs. */
static uint16_t *find_slot(sl_synth_map *map, const char *name)
{
    uint32_t at = hash(name);
    for (;; at++) {
        uint16_t *slot = &map->index[at % INDEX_SLOTS];
        if (*slot == 0 || strcmp(map->entries[*slot - 1].name, name) == 0) {
            return slot;
        }
    }
}

/* A second writer (there is one in a run) goes on where the pages end. */
static void rebuild_index(sl_synth_map *map)
{
    char name[SL_HOST_NAME_MAX];
    while (map->count < SL_SYNTH_MAX && copy_name(&map->entries[map->count], name)) {
        map->count++;
        *find_slot(map, name) = (uint16_t)map->count;
    }
}

sl_synth_map *sl_synth_map_open(int fd, bool writable)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return NULL;
    }
    if (!S_ISREG(st.st_mode) || (size_t)st.st_size != MAP_SIZE) {
        errno = EINVAL;
        return NULL;
    }
    sl_synth_map *map = calloc(1, sizeof(*map));
    uint16_t *index = writable ? calloc(INDEX_SLOTS, sizeof(*index)) : NULL;
    void *pages = map == NULL || (writable && index == NULL)
                      ? MAP_FAILED
                      : mmap(NULL, MAP_SIZE, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                             MAP_SHARED, fd, 0);
    if (pages == MAP_FAILED) {
        free(index);
        free(map);
        return NULL;
    }
    map->pages = pages;
    map->entries = map->pages->entries;
    map->index = index;
    if (writable) {
        rebuild_index(map);
    }
    return map;
}

void sl_synth_map_close(sl_synth_map *map)
{
    if (map != NULL) {
        munmap(map->pages, MAP_SIZE);
        free(map->index);
        free(map);
    }
}

static void address_of(uint32_t entry, sl_addr *ret)
{
    uint32_t host = entry / PER_NET * 256 + 1 + entry % PER_NET;
    uint32_t addr = SYNTH_BASE + host;
    *ret = (sl_addr){.family = 4};
    for (int i = 0; i < 4; i++) {
        ret->bytes[i] = (uint8_t)(addr >> (24 - 8 * i));
    }
}

int sl_synth_assign(sl_synth_map *map, const char *name, sl_addr *ret_addr)
{
    char normal[SL_HOST_NAME_MAX];
    if (map->index == NULL || sl_host_name_normalise(name, normal) < 0) {
        return -EINVAL;
    }
    uint16_t *slot = find_slot(map, normal);
    if (*slot == 0) {
        if (map->count == SL_SYNTH_MAX) {
            return -ENOSPC;
        }
        struct entry *entry = &map->entries[map->count++];
        memcpy(entry->name, normal, strlen(normal) + 1);
        atomic_store_explicit(&entry->ready, 1, memory_order_release);
        *slot = (uint16_t)map->count;
    }
    address_of(*slot - 1u, ret_addr);
    return 0;
}

static uint32_t v4_value(const sl_addr *addr)
{
    return (uint32_t)addr->bytes[0] << 24 | (uint32_t)addr->bytes[1] << 16 |
           (uint32_t)addr->bytes[2] << 8 | addr->bytes[3];
}

void sl_synth_to_v6(const sl_addr *v4, sl_addr *ret_v6)
{
    *ret_v6 = (sl_addr){.family = 6};
    memcpy(ret_v6->bytes, synth6, SYNTH6_LEN);
    memcpy(ret_v6->bytes + SYNTH6_LEN, v4->bytes, 4);
}

bool sl_synth_is(const sl_addr *addr)
{
    return addr->family == 6 ? memcmp(addr->bytes, synth6, 6) == 0
                             : addr->family == 4 && (v4_value(addr) & SYNTH_MASK) == SYNTH_BASE;
}

int sl_synth_lookup(const sl_synth_map *map, const sl_addr *addr, char ret_name[SL_HOST_NAME_MAX])
{
    sl_addr v4 = *addr;
    if (addr->family == 6 && memcmp(addr->bytes, synth6, SYNTH6_LEN) == 0) {
        v4 = (sl_addr){.family = 4};
        memcpy(v4.bytes, addr->bytes + SYNTH6_LEN, 4);
    }
    if (v4.family != 4 || !sl_synth_is(&v4)) {
        return -ENOENT;
    }
    uint32_t host = v4_value(&v4) - SYNTH_BASE;
    uint32_t octet = host % 256;
    uint32_t entry = host / 256 * PER_NET + octet - 1;
    if (octet == 0 || octet > PER_NET || entry >= SL_SYNTH_MAX ||
        !copy_name(&map->entries[entry], ret_name)) {
        return -ENOENT;
    }
    return 0;
}

void sl_synth_count(sl_synth_map *map, bool allow)
{
    (void)atomic_fetch_add_explicit(allow ? &map->pages->allowed : &map->pages->denied, 1,
                                    memory_order_relaxed);
}

void sl_synth_counts(const sl_synth_map *map, uint64_t *ret_allowed, uint64_t *ret_denied)
{
    *ret_allowed = atomic_load_explicit(&map->pages->allowed, memory_order_relaxed);
    *ret_denied = atomic_load_explicit(&map->pages->denied, memory_order_relaxed);
}
