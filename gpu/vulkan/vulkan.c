/* vulkan.c - compute by Vulkan 1.1, opened at run time. Each device gets a queue, the pipeline and a command
 * buffer at its first job; a job has five buffers of its own. */
#include "gpu/worker/driver.h"

#define VK_NO_PROTOTYPES
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

/* To use one more function: a line here. */
#define VK_INSTANCE_FUNCTIONS(X)                                                                   \
    X(DestroyInstance)                                                                             \
    X(EnumeratePhysicalDevices)                                                                    \
    X(GetPhysicalDeviceProperties)                                                                 \
    X(GetPhysicalDeviceMemoryProperties)                                                           \
    X(GetPhysicalDeviceQueueFamilyProperties)                                                      \
    X(CreateDevice)                                                                                \
    X(GetDeviceQueue)                                                                              \
    X(CreateBuffer)                                                                                \
    X(DestroyBuffer)                                                                               \
    X(GetBufferMemoryRequirements)                                                                 \
    X(AllocateMemory)                                                                              \
    X(FreeMemory)                                                                                  \
    X(BindBufferMemory)                                                                            \
    X(MapMemory)                                                                                   \
    X(CreateShaderModule)                                                                          \
    X(CreateDescriptorSetLayout)                                                                   \
    X(CreatePipelineLayout)                                                                        \
    X(CreateComputePipelines)                                                                      \
    X(CreateDescriptorPool)                                                                        \
    X(AllocateDescriptorSets)                                                                      \
    X(UpdateDescriptorSets)                                                                        \
    X(CreateCommandPool)                                                                           \
    X(AllocateCommandBuffers)                                                                      \
    X(BeginCommandBuffer)                                                                          \
    X(EndCommandBuffer)                                                                            \
    X(CmdBindPipeline)                                                                             \
    X(CmdBindDescriptorSets)                                                                       \
    X(CmdPushConstants)                                                                            \
    X(CmdDispatch)                                                                                 \
    X(CmdCopyBuffer)                                                                               \
    X(CmdFillBuffer)                                                                               \
    X(CmdPipelineBarrier)                                                                          \
    X(QueueSubmit)                                                                                 \
    X(QueueWaitIdle)

struct vulkan_device {
    VkPhysicalDevice phys;
    VkPhysicalDeviceProperties props;
    VkPhysicalDeviceMemoryProperties mem;
    uint32_t family;
    VkDevice dev; /* NULL until the first job */
    VkQueue queue;
    VkPipelineLayout layout;
    VkPipeline pipeline;
    VkDescriptorSet set;
    VkCommandBuffer cmd;
};

struct gpu_driver {
#define X(name) PFN_vk##name name;
    VK_INSTANCE_FUNCTIONS(X)
#undef X
    VkInstance instance;
    uint32_t device_cnt;
    struct vulkan_device devices[GPU_DEVICE_MAX];
};

enum { BUF_A, BUF_B, BUF_START, BUF_C, BUF_STAGE, BUF_CNT };

struct vulkan_buffer {
    VkBuffer buf;
    VkDeviceMemory mem;
    VkDeviceSize len;
    void *map; /* of the stage */
};

static qn_rc failed(const char *what, VkResult res, struct qn_why *why)
{
    return qn_why(why, QN_E_DEVICE, "%s: Vulkan error %d", what, (int)res);
}

/* A queue family that computes, or false. */
static bool family_of(const struct gpu_driver *drv, struct vulkan_device *d)
{
    VkQueueFamilyProperties props[32];
    uint32_t cnt = QN_COUNT(props);
    drv->GetPhysicalDeviceQueueFamilyProperties(d->phys, &cnt, props);
    for (d->family = 0; d->family < cnt; d->family++)
        if (props[d->family].queueFlags & VK_QUEUE_COMPUTE_BIT) return true;
    return false;
}

static qn_rc instance(struct gpu_driver *drv, const char *lib, struct qn_why *why)
{
    void *so = dlopen(lib, RTLD_NOW | RTLD_LOCAL); /* never closed: drivers do not survive that */
    if (!so) return qn_why(why, QN_E_ABSENT, "no driver: %s", dlerror());
    PFN_vkGetInstanceProcAddr get;
    void *sym = dlsym(so, "vkGetInstanceProcAddr");
    if (!sym) return qn_why(why, QN_E_DEVICE, "the library has no vkGetInstanceProcAddr");
    memcpy(&get, &sym, sizeof sym);
    PFN_vkCreateInstance create = (PFN_vkCreateInstance)get(NULL, "vkCreateInstance");
    const VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                    .pApplicationName = "quoin",
                                    .apiVersion = VK_API_VERSION_1_1 };
    const VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                        .pApplicationInfo = &app };
    VkResult res = create ? create(&info, NULL, &drv->instance) : VK_ERROR_INITIALIZATION_FAILED;
    if (res) return qn_why(why, QN_E_ABSENT, "no driver: Vulkan error %d", (int)res);
#define X(name)                                                                                    \
    drv->name = (PFN_vk##name)get(drv->instance, "vk" #name);                                      \
    if (!drv->name) return qn_why(why, QN_E_DEVICE, "the driver has no vk" #name);
    VK_INSTANCE_FUNCTIONS(X)
#undef X
    return QN_OK;
}

static qn_rc vulkan_open(const char *lib, struct gpu_driver **ret, struct qn_why *why)
{
    VkPhysicalDevice phys[GPU_DEVICE_MAX];
    uint32_t cnt = QN_COUNT(phys);
    struct gpu_driver *drv = calloc(1, sizeof *drv);
    if (!drv) return QN_E_MEMORY;
    qn_rc rc = instance(drv, lib, why);
    if (rc) {
        free(drv);
        return rc;
    }
    VkResult res = drv->EnumeratePhysicalDevices(drv->instance, &cnt, phys);
    if (res && res != VK_INCOMPLETE) cnt = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        struct vulkan_device *d = &drv->devices[drv->device_cnt];
        d->phys = phys[i];
        drv->GetPhysicalDeviceProperties(d->phys, &d->props);
        drv->GetPhysicalDeviceMemoryProperties(d->phys, &d->mem);
        if (d->props.apiVersion >= VK_API_VERSION_1_1 && family_of(drv, d)) drv->device_cnt++;
    }
    if (drv->device_cnt == 0) {
        drv->DestroyInstance(drv->instance, NULL);
        free(drv);
        return qn_why(why, QN_E_ABSENT, "no device with Vulkan 1.1 and a compute queue");
    }
    *ret = drv;
    return QN_OK;
}

static uint32_t vulkan_device_cnt(const struct gpu_driver *drv)
{
    return drv->device_cnt;
}

static void vulkan_device(const struct gpu_driver *drv, uint32_t idx, struct gpu_rep *ret)
{
    const struct vulkan_device *d = &drv->devices[idx];
    uint32_t v = d->props.apiVersion;
    for (uint32_t i = 0; i < QN_MIN(d->mem.memoryHeapCount, (uint32_t)VK_MAX_MEMORY_HEAPS); i++)
        if (d->mem.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
            ret->mem_bytes = QN_MAX(ret->mem_bytes, (uint64_t)d->mem.memoryHeaps[i].size);
    ret->software = d->props.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    snprintf(ret->text, sizeof ret->text, "%.*s", VK_MAX_PHYSICAL_DEVICE_NAME_SIZE - 1,
             d->props.deviceName);
    snprintf(ret->driver, sizeof ret->driver, "Vulkan %u.%u.%u", VK_API_VERSION_MAJOR(v),
             VK_API_VERSION_MINOR(v), VK_API_VERSION_PATCH(v));
}

/* --- what a device needs once ------------------------------------------------------------------------------ */

static VkResult pipeline(struct gpu_driver *drv, struct vulkan_device *d)
{
    VkDescriptorSetLayoutBinding bind[4];
    VkDescriptorSetLayout set_layout;
    VkShaderModule shader;
    for (uint32_t i = 0; i < 4; i++)
        bind[i] =
            (VkDescriptorSetLayoutBinding){ .binding = i,
                                            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                            .descriptorCount = 1,
                                            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT };
    const VkDescriptorSetLayoutCreateInfo set_info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = 4,
        .pBindings = bind
    };
    VkResult res = drv->CreateDescriptorSetLayout(d->dev, &set_info, NULL, &set_layout);
    if (res) return res;
    const VkPushConstantRange push = { VK_SHADER_STAGE_COMPUTE_BIT, 0, 12 };
    const VkPipelineLayoutCreateInfo layout = { .sType =
                                                    VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                                .setLayoutCount = 1,
                                                .pSetLayouts = &set_layout,
                                                .pushConstantRangeCount = 1,
                                                .pPushConstantRanges = &push };
    res = drv->CreatePipelineLayout(d->dev, &layout, NULL, &d->layout);
    if (res) return res;
    const VkShaderModuleCreateInfo code = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = (size_t)(gpu_matmul_i8_spv_end - gpu_matmul_i8_spv) * 4,
        .pCode = gpu_matmul_i8_spv
    };
    res = drv->CreateShaderModule(d->dev, &code, NULL, &shader);
    if (res) return res;
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                   .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                   .module = shader,
                   .pName = "main" },
        .layout = d->layout
    };
    res = drv->CreateComputePipelines(d->dev, VK_NULL_HANDLE, 1, &info, NULL, &d->pipeline);
    if (res) return res;
    VkDescriptorPool pool;
    const VkDescriptorPoolSize size = { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 4 };
    const VkDescriptorPoolCreateInfo pool_info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = 1,
        .poolSizeCount = 1,
        .pPoolSizes = &size
    };
    res = drv->CreateDescriptorPool(d->dev, &pool_info, NULL, &pool);
    if (res) return res;
    const VkDescriptorSetAllocateInfo set = { .sType =
                                                  VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                              .descriptorPool = pool,
                                              .descriptorSetCount = 1,
                                              .pSetLayouts = &set_layout };
    return drv->AllocateDescriptorSets(d->dev, &set, &d->set);
}

static qn_rc device_start(struct gpu_driver *drv, struct vulkan_device *d, struct qn_why *why)
{
    if (d->cmd) return QN_OK;
    if (d->dev) return qn_why(why, QN_E_DEVICE, "the device could not be set up");
    const float priority = 1;
    const VkDeviceQueueCreateInfo queue = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                            .queueFamilyIndex = d->family,
                                            .queueCount = 1,
                                            .pQueuePriorities = &priority };
    const VkDeviceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                      .queueCreateInfoCount = 1,
                                      .pQueueCreateInfos = &queue };
    VkResult res = drv->CreateDevice(d->phys, &info, NULL, &d->dev);
    if (res) return failed("device", res, why);
    drv->GetDeviceQueue(d->dev, d->family, 0, &d->queue);
    res = pipeline(drv, d);
    if (res) return failed("the driver does not take the kernel", res, why);
    VkCommandPool pool;
    const VkCommandPoolCreateInfo pool_info = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                                .flags =
                                                    VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                                .queueFamilyIndex = d->family };
    res = drv->CreateCommandPool(d->dev, &pool_info, NULL, &pool);
    if (res) return failed("command pool", res, why);
    const VkCommandBufferAllocateInfo cmd = { .sType =
                                                  VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                              .commandPool = pool,
                                              .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                              .commandBufferCount = 1 };
    res = drv->AllocateCommandBuffers(d->dev, &cmd, &d->cmd);
    return res ? failed("command buffer", res, why) : QN_OK;
}

/* --- a job ----------------------------------------------------------------------------------------------- */

/* The first memory type of the mask that has all flags, or UINT32_MAX. */
static uint32_t memory_type(const struct vulkan_device *d, uint32_t mask,
                            VkMemoryPropertyFlags flags)
{
    for (uint32_t i = 0; i < d->mem.memoryTypeCount; i++)
        if (mask & 1u << i && (d->mem.memoryTypes[i].propertyFlags & flags) == flags) return i;
    return UINT32_MAX;
}

static void buffer_free(struct gpu_driver *drv, struct vulkan_device *d, struct vulkan_buffer *buf)
{
    if (buf->buf) drv->DestroyBuffer(d->dev, buf->buf, NULL);
    if (buf->mem) drv->FreeMemory(d->dev, buf->mem, NULL);
}

static qn_rc buffer_new(struct gpu_driver *drv, struct vulkan_device *d, VkDeviceSize len,
                        bool stage, struct vulkan_buffer *ret, struct qn_why *why)
{
    const VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                      .size = len,
                                      .usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                               VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                                               VK_BUFFER_USAGE_STORAGE_BUFFER_BIT };
    const VkMemoryPropertyFlags host =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    VkMemoryRequirements need;
    ret->len = len;
    VkResult res = drv->CreateBuffer(d->dev, &info, NULL, &ret->buf);
    if (res) return failed("buffer", res, why);
    drv->GetBufferMemoryRequirements(d->dev, ret->buf, &need);
    uint32_t type =
        stage ? memory_type(d, need.memoryTypeBits, host | VK_MEMORY_PROPERTY_HOST_CACHED_BIT)
              : memory_type(d, need.memoryTypeBits, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
    if (type == UINT32_MAX) type = memory_type(d, need.memoryTypeBits, stage ? host : 0);
    const VkMemoryAllocateInfo alloc = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                         .allocationSize = need.size,
                                         .memoryTypeIndex = type };
    res = type == UINT32_MAX ? VK_ERROR_FEATURE_NOT_PRESENT
                             : drv->AllocateMemory(d->dev, &alloc, NULL, &ret->mem);
    if (res == VK_SUCCESS) res = drv->BindBufferMemory(d->dev, ret->buf, ret->mem, 0);
    if (res == VK_SUCCESS && stage)
        res = drv->MapMemory(d->dev, ret->mem, 0, VK_WHOLE_SIZE, 0, &ret->map);
    return res ? failed("memory", res, why) : QN_OK;
}

static VkResult begin(struct gpu_driver *drv, struct vulkan_device *d)
{
    const VkCommandBufferBeginInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
    return drv->BeginCommandBuffer(d->cmd, &info);
}

/* Submits what was recorded and waits; the parent's clock is the limit. */
static VkResult finish(struct gpu_driver *drv, struct vulkan_device *d)
{
    const VkMemoryBarrier all = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                  .srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
                                  .dstAccessMask =
                                      VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_HOST_READ_BIT };
    drv->CmdPipelineBarrier(d->cmd, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
                            VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                            &all, 0, NULL, 0, NULL);
    VkResult res = drv->EndCommandBuffer(d->cmd);
    const VkSubmitInfo info = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                                .commandBufferCount = 1,
                                .pCommandBuffers = &d->cmd };
    if (res == VK_SUCCESS) res = drv->QueueSubmit(d->queue, 1, &info, VK_NULL_HANDLE);
    return res ? res : drv->QueueWaitIdle(d->queue);
}

static VkResult copy(struct gpu_driver *drv, struct vulkan_device *d,
                     const struct vulkan_buffer *from, const struct vulkan_buffer *to,
                     VkDeviceSize len)
{
    const VkBufferCopy region = { 0, 0, len };
    VkResult res = begin(drv, d);
    if (res) return res;
    drv->CmdCopyBuffer(d->cmd, from->buf, to->buf, 1, &region);
    return finish(drv, d);
}

static VkResult dispatch(struct gpu_driver *drv, struct vulkan_device *d,
                         const struct gpu_product *p, const struct gpu_packed *packed,
                         uint64_t *ret_ns)
{
    const uint32_t numbers[3] = { p->m, p->n, packed->kw };
    uint64_t best = UINT64_MAX;
    for (uint32_t i = 0; i < p->repeat; i++) {
        VkResult res = begin(drv, d);
        if (res) return res;
        drv->CmdBindPipeline(d->cmd, VK_PIPELINE_BIND_POINT_COMPUTE, d->pipeline);
        drv->CmdBindDescriptorSets(d->cmd, VK_PIPELINE_BIND_POINT_COMPUTE, d->layout, 0, 1, &d->set,
                                   0, NULL);
        drv->CmdPushConstants(d->cmd, d->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof numbers,
                              numbers);
        drv->CmdDispatch(d->cmd, packed->panel_cnt, (p->m + GPU_ROWS - 1) / GPU_ROWS, 1);
        uint64_t from = gpu_now_ns();
        res = finish(drv, d);
        if (res) return res;
        best = QN_MIN(best, gpu_now_ns() - from);
    }
    *ret_ns = best;
    return VK_SUCCESS;
}

static qn_rc run(struct gpu_driver *drv, struct vulkan_device *d, const struct gpu_product *p,
                 const struct gpu_packed *packed, struct vulkan_buffer *bufs, uint64_t *ret_ns,
                 struct qn_why *why)
{
    VkDescriptorBufferInfo info[4];
    VkWriteDescriptorSet write[4];
    for (uint32_t i = 0; i < 4; i++) {
        info[i] = (VkDescriptorBufferInfo){ bufs[i].buf, 0, VK_WHOLE_SIZE };
        write[i] = (VkWriteDescriptorSet){ .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                           .dstSet = d->set,
                                           .dstBinding = i,
                                           .descriptorCount = 1,
                                           .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                           .pBufferInfo = &info[i] };
    }
    drv->UpdateDescriptorSets(d->dev, 4, write, 0, NULL);
    struct vulkan_buffer *stage = &bufs[BUF_STAGE];
    memcpy(stage->map, packed->a, packed->a_len);
    VkResult res = copy(drv, d, stage, &bufs[BUF_A], packed->a_len);
    if (res) return failed("copy", res, why);
    memcpy(stage->map, packed->b, packed->b_len);
    res = copy(drv, d, stage, &bufs[BUF_B], packed->b_len);
    if (res == VK_SUCCESS) res = begin(drv, d);
    if (res) return failed("copy", res, why);
    drv->CmdFillBuffer(d->cmd, bufs[BUF_START].buf, 0, VK_WHOLE_SIZE, 0);
    res = finish(drv, d);
    if (res == VK_SUCCESS) res = dispatch(drv, d, p, packed, ret_ns);
    if (res) return failed("kernel", res, why);
    res = copy(drv, d, &bufs[BUF_C], stage, bufs[BUF_C].len);
    if (res) return failed("result", res, why);
    memcpy(p->c, stage->map, bufs[BUF_C].len);
    return QN_OK;
}

static qn_rc vulkan_matmul_i8(struct gpu_driver *drv, const struct gpu_product *p, uint64_t *ret_ns,
                              struct qn_why *why)
{
    struct vulkan_device *d = &drv->devices[p->device];
    const VkPhysicalDeviceLimits *limits = &d->props.limits;
    struct gpu_packed packed = { 0 };
    struct vulkan_buffer bufs[BUF_CNT] = { 0 };
    qn_rc rc = device_start(drv, d, why);
    if (rc == QN_OK) rc = gpu_pack(p, &packed);
    if (rc) return rc;
    const VkDeviceSize lens[BUF_CNT] = {
        packed.a_len, packed.b_len, (VkDeviceSize)p->m * 4, (VkDeviceSize)p->m * p->n * 4,
        QN_MAX(QN_MAX(packed.a_len, packed.b_len), (VkDeviceSize)p->m * p->n * 4)
    };
    if ((p->m + GPU_ROWS - 1) / GPU_ROWS > limits->maxComputeWorkGroupCount[1] ||
        packed.panel_cnt > limits->maxComputeWorkGroupCount[0] ||
        lens[BUF_STAGE] > limits->maxStorageBufferRange)
        rc = qn_why(why, QN_E_RANGE, "a matrix of %llu bytes is too large for this device's %u",
                    (unsigned long long)lens[BUF_STAGE], limits->maxStorageBufferRange);
    for (int i = 0; rc == QN_OK && i < BUF_CNT; i++)
        rc = buffer_new(drv, d, lens[i], i == BUF_STAGE, &bufs[i], why);
    if (rc == QN_OK) rc = run(drv, d, p, &packed, bufs, ret_ns, why);
    for (int i = 0; i < BUF_CNT; i++)
        buffer_free(drv, d, &bufs[i]);
    gpu_packed_free(&packed);
    return rc;
}

const struct gpu_api gpu_vulkan = { "vulkan", vulkan_open, vulkan_device_cnt, vulkan_device,
                                    vulkan_matmul_i8 };
