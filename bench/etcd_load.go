// Measures etcd through its own Go client (gRPC), as bench/load.c measures servers that speak RESP:
// so many clients, each with one request on the way, random keys, values of one size; the same two
// lines come out. Built by bench/run when Debian's golang-go and golang-etcd-server-dev are there.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/etcd/clientv3"
)

func cpuMicros() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return float64(used.Utime.Sec+used.Stime.Sec)*1e6 + float64(used.Utime.Usec+used.Stime.Usec)
}

// One client's work: latencies in microseconds of what began while `counts` was set.
func work(client *clientv3.Client, get bool, keys int, value string, seed int64, counts, stop *int32) (took []int, errors int, first error) {
	random := rand.New(rand.NewSource(seed))
	for atomic.LoadInt32(stop) == 0 {
		key := fmt.Sprintf("key:%012d", random.Intn(keys))
		counted := atomic.LoadInt32(counts) != 0
		begin := time.Now()
		var err error
		if get {
			_, err = client.Get(context.Background(), key)
		} else {
			_, err = client.Put(context.Background(), key, value)
		}
		if err != nil {
			errors++
			if first == nil {
				first = err
			}
			time.Sleep(time.Millisecond)
		} else if counted {
			took = append(took, int(time.Since(begin)/time.Microsecond))
		}
	}
	return took, errors, first
}

func main() {
	ports := flag.String("port", "2379", "of 127.0.0.1; several with commas")
	clients := flag.Int("clients", 50, "each has one request on the way")
	connections := flag.Int("connections", 50, "the clients share so many")
	keys := flag.Int("keys", 10000, "random keys from so many")
	size := flag.Int("value-size", 100, "bytes of each value")
	command := flag.String("command", "set", "set or get")
	warmUp := flag.Float64("warm-up", 2, "seconds before anything counts")
	seconds := flag.Float64("seconds", 5, "that count")
	flag.Parse()

	endpoints := strings.Split(*ports, ",")
	for i := range endpoints {
		endpoints[i] = "127.0.0.1:" + endpoints[i]
	}
	if *connections > *clients {
		*connections = *clients
	}
	var all []*clientv3.Client
	for i := 0; i < *connections; i++ {
		client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second})
		if err != nil {
			fmt.Fprintln(os.Stderr, "etcd_load:", err)
			os.Exit(1)
		}
		all = append(all, client)
	}

	var counts, stop int32
	var lock sync.Mutex
	var took []int
	errors, firstError := 0, ""
	var running sync.WaitGroup
	for i := 0; i < *clients; i++ {
		running.Add(1)
		go func(i int) {
			defer running.Done()
			mine, bad, first := work(all[i%len(all)], *command == "get", *keys, strings.Repeat("x", *size), int64(i+1), &counts, &stop)
			lock.Lock()
			defer lock.Unlock()
			took = append(took, mine...)
			errors += bad
			if first != nil && firstError == "" {
				firstError = first.Error()
			}
		}(i)
	}
	time.Sleep(time.Duration(*warmUp * float64(time.Second)))
	fmt.Println("measuring")
	atomic.StoreInt32(&counts, 1)
	begin, cpu := time.Now(), cpuMicros()
	time.Sleep(time.Duration(*seconds * float64(time.Second)))
	cpu = cpuMicros() - cpu
	passed := time.Since(begin).Seconds()
	atomic.StoreInt32(&stop, 1)
	running.Wait()

	sort.Ints(took)
	at := func(part float64) int {
		if len(took) == 0 {
			return 0
		}
		return took[int(part*float64(len(took)-1))]
	}
	operations := len(took)
	perOperation := 0.0
	if operations > 0 {
		perOperation = cpu / float64(operations)
	}
	fmt.Printf("{\"operations\": %d, \"rate\": %.1f, \"p50_us\": %d, \"p99_us\": %d, \"max_us\": %d, \"client_cpu_us\": %.3f, \"errors\": %d, \"first_error\": %q}\n",
		operations, float64(operations)/passed, at(0.5), at(0.99), at(1), perOperation, errors, firstError)
}
