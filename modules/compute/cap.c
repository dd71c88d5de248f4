/* cap.c - capacity is conserved like money: what is used is the sum of the leases, never above the total. */
#include "modules/compute/compute.h"

/* Every quantity is at most 2^53, so sums of two cannot wrap. */
static bool fits(uint64_t need, uint64_t total, uint64_t used)
{
    return used <= total && need <= total - used;
}

bool compute_cap_fits(const struct compute_cap *need, const struct compute_cap *total,
                      const struct compute_cap *used)
{
    return fits(need->cpu_milli, total->cpu_milli, used->cpu_milli) &&
           fits(need->ram_mib, total->ram_mib, used->ram_mib) &&
           fits(need->disk_mib, total->disk_mib, used->disk_mib) &&
           fits(need->net_kbps, total->net_kbps, used->net_kbps) &&
           fits(need->gpu_slots, total->gpu_slots, used->gpu_slots) &&
           (need->gpu_slots == 0 || need->vram_mib <= total->vram_mib);
}

void compute_cap_take(struct compute_cap *used, const struct compute_cap *need)
{
    used->cpu_milli += need->cpu_milli;
    used->ram_mib += need->ram_mib;
    used->disk_mib += need->disk_mib;
    used->net_kbps += need->net_kbps;
    used->gpu_slots += need->gpu_slots;
}

void compute_cap_give(struct compute_cap *used, const struct compute_cap *need)
{
    QN_ASSERT(used->cpu_milli >= need->cpu_milli);
    QN_ASSERT(used->ram_mib >= need->ram_mib);
    QN_ASSERT(used->disk_mib >= need->disk_mib);
    QN_ASSERT(used->net_kbps >= need->net_kbps);
    QN_ASSERT(used->gpu_slots >= need->gpu_slots);
    used->cpu_milli -= need->cpu_milli;
    used->ram_mib -= need->ram_mib;
    used->disk_mib -= need->disk_mib;
    used->net_kbps -= need->net_kbps;
    used->gpu_slots -= need->gpu_slots;
}

static uint32_t sixteenths(uint64_t used, uint64_t total)
{
    uint64_t share;
    return total && qn_muldiv(used, 16, total, &share) ? (uint32_t)share : 0;
}

uint32_t compute_cap_waste(const struct compute_node *node, const struct compute_cap *need)
{
    uint32_t cpu = sixteenths(node->used.cpu_milli + need->cpu_milli, node->cap.cpu_milli);
    uint32_t ram = sixteenths(node->used.ram_mib + need->ram_mib, node->cap.ram_mib);
    return cpu > ram ? cpu - ram : ram - cpu;
}
