/* A stand-in for libcudart.so with one device, whose memory is the host's and whose clock is counted:
   a copy takes 10 us, a kernel what it is told. FAKE_CUDART: no-device, out-of-memory, no-begin, no-capture. FAKE_CUDART_SMS: 8 unless set.
   With -DCUDA_11_0 it is as old as that: cudaGraphInstantiate has five arguments and no other name. */
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID = 1, NO_MEMORY = 2, NO_DEVICE = 100, BAD_HANDLE = 400, NO_CAPTURE = 900 };
enum { STREAM = 0x57, EVENT = 0x45, GRAPH = 0x47, EXECUTABLE = 0x58 };
typedef struct { void *to; const void *from; size_t size; unsigned long long ns; } Work;
typedef struct { int kind, capturing, count, happened; unsigned long long ns; Work work[64]; } Thing;

static unsigned long long clock_ns = 1000;
static int alive, last_error;

static int is(const char *what) {
    const char *set = getenv("FAKE_CUDART");
    return set != NULL && strcmp(set, what) == 0;
}
int fakeAlive(void) { return alive; }
static int failed(int status) { return last_error = status; }
int cudaPeekAtLastError(void) { return last_error; }
int cudaGetLastError(void) {
    int found = last_error;
    return last_error = SUCCESS, found;
}
const char *cudaGetErrorString(int status) {
    switch (status) {
    case INVALID: return "invalid argument";
    case NO_MEMORY: return "out of memory";
    case NO_DEVICE: return "no CUDA-capable device is detected";
    case BAD_HANDLE: return "invalid resource handle";
    case NO_CAPTURE: return "operation not permitted when stream is capturing";
    default: return "unrecognized error code";
    }
}
int cudaRuntimeGetVersion(int *version) { return *version = 12060, SUCCESS; }
int cudaGetDeviceCount(int *count) { return *count = 1, is("no-device") ? NO_DEVICE : SUCCESS; }
int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    if (device != 0) return INVALID;
    const char *sms = getenv("FAKE_CUDART_SMS");
    *value = attribute == 16 ? (sms ? atoi(sms) : 8) : attribute == 75 ? 8 : attribute == 76 ? 7 : -1;
    return *value < 0 ? INVALID : SUCCESS;
}
static int made(void **place, void *thing) {
    if (thing == NULL) return NO_MEMORY;
    *place = thing;
    return alive++, SUCCESS;
}
static int ended(void *thing) {
    free(thing);
    return alive--, SUCCESS;
}
int cudaMalloc(void **place, size_t size) {
    return is("out-of-memory") ? failed(NO_MEMORY) : made(place, calloc(1, size));
}
int cudaFree(void *address) { return ended(address); }
int cudaHostAlloc(void **place, size_t size, unsigned flags) {
    return flags ? INVALID : made(place, calloc(1, size));
}
int cudaFreeHost(void *address) { return ended(address); }

static int create(void **place, int kind) {
    Thing *thing = calloc(1, sizeof(Thing));
    if (thing != NULL) thing->kind = kind;
    return made(place, thing);
}
static int destroy(Thing *thing, int kind) {
    if (thing == NULL || thing->kind != kind) return BAD_HANDLE;
    thing->kind = 0;
    return ended(thing);
}
static void perform(const Work *work) {
    if (work->size) memcpy(work->to, work->from, work->size);
    clock_ns += work->ns;
}
static int queue(Thing *stream, Work work) {
    if (stream == NULL || stream->kind != STREAM) return BAD_HANDLE;
    if (!stream->capturing) return perform(&work), SUCCESS;
    if (stream->count == 64) return INVALID;
    stream->work[stream->count++] = work;
    return SUCCESS;
}
int cudaMemcpyAsync(void *to, const void *from, size_t size, int kind, Thing *stream) {
    if (kind != 1 && kind != 2) return INVALID;
    return queue(stream, (Work){to, from, size, 10000});
}
/* What an engine does: moves bytes, and takes so long. */
int fakeKernel(void *to, const void *from, size_t size, unsigned long long ns, Thing *stream) {
    return queue(stream, (Work){to, from, size, ns});
}
int cudaStreamCreateWithFlags(void **place, unsigned flags) {
    return flags == 1 ? create(place, STREAM) : INVALID;
}
int cudaStreamSynchronize(Thing *stream) {
    if (stream == NULL || stream->kind != STREAM) return BAD_HANDLE;
    return stream->capturing ? NO_CAPTURE : SUCCESS;
}
int cudaStreamDestroy(Thing *stream) { return destroy(stream, STREAM); }
int cudaEventCreateWithFlags(void **place, unsigned flags) {
    return flags > 1 ? INVALID : create(place, EVENT);
}
int cudaEventRecord(Thing *event, Thing *stream) {
    if (event == NULL || event->kind != EVENT) return BAD_HANDLE;
    if (stream == NULL || stream->kind != STREAM) return BAD_HANDLE;
    event->happened = 1;
    event->ns = clock_ns;
    return SUCCESS;
}
int cudaEventSynchronize(Thing *event) {
    return event != NULL && event->kind == EVENT ? SUCCESS : BAD_HANDLE;
}
int cudaEventElapsedTime(float *ms, Thing *start, Thing *stop) {
    if (start == NULL || start->kind != EVENT || stop == NULL || stop->kind != EVENT) return BAD_HANDLE;
    if (!start->happened || !stop->happened) return BAD_HANDLE;
    *ms = (float)((double)(stop->ns - start->ns) / 1e6);
    return SUCCESS;
}
int cudaEventDestroy(Thing *event) { return destroy(event, EVENT); }
int cudaStreamBeginCapture(Thing *stream, int mode) {
    if (stream == NULL || stream->kind != STREAM) return BAD_HANDLE;
    if (mode < 0 || mode > 2 || stream->capturing || is("no-begin")) return INVALID;
    stream->capturing = 1;
    stream->count = 0;
    return SUCCESS;
}
int cudaStreamEndCapture(Thing *stream, void **graph) {
    if (stream == NULL || stream->kind != STREAM || !stream->capturing) return BAD_HANDLE;
    stream->capturing = 0;
    if (is("no-capture")) return failed(NO_CAPTURE);
    if (create(graph, GRAPH)) return NO_MEMORY;
    memcpy(((Thing *)*graph)->work, stream->work, sizeof stream->work);
    ((Thing *)*graph)->count = stream->count;
    return SUCCESS;
}
static int instantiate(void **place, Thing *graph) {
    if (graph == NULL || graph->kind != GRAPH) return BAD_HANDLE;
    if (create(place, EXECUTABLE)) return NO_MEMORY;
    memcpy(((Thing *)*place)->work, graph->work, sizeof graph->work);
    ((Thing *)*place)->count = graph->count;
    return SUCCESS;
}
#ifdef CUDA_11_0
int cudaGraphInstantiate(void **place, Thing *graph, void **node, char *text, size_t size) {
    return node || text || size ? INVALID : instantiate(place, graph);
}
#else
int cudaGraphInstantiate(void **place, Thing *graph, unsigned long long flags) {
    return flags ? INVALID : instantiate(place, graph);
}
int cudaGraphInstantiateWithFlags(void **place, Thing *graph, unsigned long long flags) {
    return flags ? INVALID : instantiate(place, graph);
}
#endif
int cudaGraphLaunch(Thing *executable, Thing *stream) {
    if (executable == NULL || executable->kind != EXECUTABLE) return BAD_HANDLE;
    for (int i = 0; i < executable->count; i++)
        if (queue(stream, executable->work[i])) return BAD_HANDLE;
    return SUCCESS;
}
int cudaGraphExecDestroy(Thing *executable) { return destroy(executable, EXECUTABLE); }
int cudaGraphDestroy(Thing *graph) { return destroy(graph, GRAPH); }
