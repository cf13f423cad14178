/* A stand-in for libnvidia-ml.so.1 with one GPU, set by FAKE_NVML: ok, no-driver, no-counter, still,
   many (two GPUs, of 50 and 100 W). The first one draws 50 W by the machine's own clock.
   EVENTS: as drivers from 535 on name a function. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int is(const char *what) {
    const char *set = getenv("FAKE_NVML");
    return set != NULL && strcmp(set, what) == 0;
}
int nvmlInit_v2(void) { return is("no-driver") ? 9 : 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int status) {
    return status == 3 ? "Not Supported" : status == 9 ? "Driver Not Loaded" : "Unknown Error";
}
/* Handles that need all 64 bits. */
#define FIRST ((void *)0x7000000000000001)
#define SECOND ((void *)0x7000000000000002)
int nvmlDeviceGetCount_v2(unsigned *count) {
    *count = is("many") ? 2 : 1;
    return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    *device = index == 0 ? FIRST : SECOND;
    return index < (is("many") ? 2 : 1) ? 0 : 2;
}
static int wrong(void *device) { return device != FIRST && device != SECOND; }
int nvmlDeviceGetName(void *device, char *name, unsigned length) {
    if (wrong(device) || length < 96) return 2;
    strcpy(name, device == FIRST ? "Fake GPU" : "Other GPU");
    return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj) {
    struct timespec now;
    if (wrong(device)) return 2;
    if (is("no-counter")) return 3;
    clock_gettime(CLOCK_MONOTONIC, &now);
    *mj = 0x100000000ULL;  /* more than 32 bits */
    double mw = is("still") ? 0 : device == FIRST ? 50000 : 100000;
    *mj += (unsigned long long)(mw * (now.tv_sec + now.tv_nsec / 1e9));
    return 0;
}
int nvmlDeviceGetClockInfo(void *device, int kind, unsigned *mhz) {
    *mhz = kind == 1 ? 1980 : 2619;
    return wrong(device) ? 2 : 0;
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius) {
    *celsius = 41;
    return wrong(device) || sensor != 0 ? 2 : 0;
}
int nvmlDeviceGetPowerManagementLimit(void *device, unsigned *mw) { return wrong(device) ? 2 : 3; }
#ifdef EVENTS
int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *mask) {
#else
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *mask) {
#endif
    *mask = 0x1 | 0x40;
    return wrong(device) ? 2 : 0;
}
