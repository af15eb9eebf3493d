// The workloads on Go. The same command line and the same line of JSON as the programs in Rust.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const limit = 10 * time.Second

type outcome map[string]float64

var workloads = map[string]func() outcome{
	"yield": yields, "spawn": spawns, "tree": tree, "memory": memory,
	"pingpong": pingpong, "wake": wake, "stream": stream, "select": selects, "mutex": mutex, "lock": lock,
	"sleeps": sleeps, "timer": timer, "echo": echo, "hello": hello, "crawl": crawl,
}

var arguments = map[string]string{}

func main() {
	if len(os.Args) < 2 || workloads[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "WORKLOAD [--NAME VALUE ...]; no such workload")
		os.Exit(2)
	}
	for i := 2; i+1 < len(os.Args); i += 2 {
		arguments[strings.TrimPrefix(os.Args[i], "--")] = os.Args[i+1]
	}
	runtime.GOMAXPROCS(number("workers", 1))
	line, _ := json.Marshal(workloads[os.Args[1]]())
	fmt.Println(string(line))
}

func number(name string, otherwise int) int {
	text, given := arguments[name]
	if !given {
		return otherwise
	}
	value, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
	if err != nil {
		fmt.Fprintf(os.Stderr, "--%s %s: not such a number\n", name, text)
		os.Exit(2)
	}
	return value
}

func flag(name string) bool { return number(name, 0) != 0 }

// Measuring

type meter struct {
	begun time.Time
	cpu   time.Duration
}

func start() meter { return meter{cpu: cpuTime(), begun: time.Now()} }

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func (m meter) stop(count int) outcome {
	wall, cpu := time.Since(m.begun), cpuTime()-m.cpu
	return outcome{
		"ns":       float64(wall) / float64(count),
		"cpu_ns":   float64(cpu) / float64(count),
		"seconds":  wall.Seconds(),
		"peak_kib": kibibytes("VmHWM:"),
	}
}

func kibibytes(name string) float64 {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, name) {
			value, _ := strconv.ParseFloat(strings.Fields(line)[1], 64)
			return value
		}
	}
	return 0
}

// Switching and spawning

func yields() outcome {
	tasks, depth := number("tasks", 1000), number("depth", 0)
	each := number("count", 10_000_000) / tasks
	var all sync.WaitGroup
	all.Add(tasks)
	m := start()
	for i := 0; i < tasks; i++ {
		go func() {
			for n := 0; n < each; n++ {
				if depth == 0 {
					runtime.Gosched()
				} else {
					deep(depth)
				}
			}
			all.Done()
		}()
	}
	all.Wait()
	return m.stop(tasks * each)
}

//go:noinline
func deep(depth int) int {
	if depth == 1 {
		runtime.Gosched()
		return 1
	}
	return 1 + deep(depth-1)
}

func spawns() outcome {
	batch, yielding := number("batch", 1000), flag("yield")
	batches := number("count", 1_000_000) / batch
	m := start()
	for i := 0; i < batches; i++ {
		var all sync.WaitGroup
		all.Add(batch)
		for n := 0; n < batch; n++ {
			go func() {
				if yielding {
					runtime.Gosched()
				}
				all.Done()
			}()
		}
		all.Wait()
	}
	return m.stop(batches * batch)
}

func tree() outcome {
	depth, steps := number("depth", 12), number("steps", 50_000)
	m := start()
	sink = branch(depth, steps)
	return m.stop(1 << depth)
}

// Keeps what is computed from being left out.
var sink uint64

func branch(depth, steps int) uint64 {
	if depth == 0 {
		return compute(steps)
	}
	half := make(chan uint64, 2)
	for i := 0; i < 2; i++ {
		go func() { half <- branch(depth-1, steps) }()
	}
	return <-half ^ <-half
}

func memory() outcome {
	tasks := number("tasks", 100_000)
	gate := make(chan struct{})
	var all, parked sync.WaitGroup
	all.Add(tasks)
	parked.Add(tasks)
	resident, tables := kibibytes("VmRSS:"), kibibytes("VmPTE:")
	m := start()
	for i := 0; i < tasks; i++ {
		go func() {
			parked.Done()
			<-gate
			all.Done()
		}()
	}
	parked.Wait()
	seconds := time.Since(m.begun).Seconds()
	resident = (kibibytes("VmRSS:") - resident) * 1024 / float64(tasks)
	tables = (kibibytes("VmPTE:") - tables) * 1024 / float64(tasks)
	close(gate)
	all.Wait()
	return outcome{"bytes": resident + tables, "resident": resident, "tables": tables, "seconds": seconds}
}

// Channels, locks and time

func pingpong() outcome {
	count, timeout := number("count", 2_000_000), flag("timeout")
	return bounce(count, timeout, func() {})
}

// Two goroutines that keep an OS thread each.
func wake() outcome {
	runtime.GOMAXPROCS(2)
	return bounce(number("count", 100_000), false, runtime.LockOSThread)
}

func bounce(count int, timeout bool, settle func()) outcome {
	there, back := make(chan int, 1), make(chan int, 1)
	var all sync.WaitGroup
	all.Add(2)
	m := start()
	go func() {
		settle()
		for i := 0; i < count; i++ {
			there <- i
			receive(back, timeout)
		}
		all.Done()
	}()
	go func() {
		settle()
		for i := 0; i < count; i++ {
			back <- receive(there, timeout)
		}
		all.Done()
	}()
	all.Wait()
	return m.stop(count)
}

func receive(from chan int, timeout bool) int {
	if !timeout {
		return <-from
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case value := <-from:
		return value
	case <-timer.C:
		panic("the time-out came")
	}
}

// Go has no channel without a bound; this one's is 1,024.
func stream() outcome {
	count := number("count", 10_000_000)
	values := make(chan uint64, 1024)
	done := make(chan uint64)
	m := start()
	go func() {
		for i := 0; i < count; i++ {
			values <- uint64(i)
		}
		close(values)
	}()
	go func() {
		sum := uint64(0)
		for value := range values {
			sum += value
		}
		done <- sum
	}()
	sink = <-done
	return m.stop(count)
}

// It ends when both have said all, and neither channel is ever closed before: a closed one is always ready.
func selects() outcome {
	each := number("count", 2_000_000) / 2
	left, right := make(chan uint64, 1), make(chan uint64, 1)
	done := make(chan uint64)
	m := start()
	for _, values := range []chan uint64{left, right} {
		go func(values chan uint64) {
			for i := 0; i < each; i++ {
				values <- uint64(i)
			}
		}(values)
	}
	go func() {
		sum := uint64(0)
		for i := 0; i < 2*each; i++ {
			select {
			case value := <-left:
				sum += value
			case value := <-right:
				sum += value
			}
		}
		done <- sum
	}()
	sink = <-done
	return m.stop(2 * each)
}

func mutex() outcome {
	tasks, each, yielding := number("tasks", 1000), number("each", 1000), flag("yield")
	var all sync.WaitGroup
	var lock sync.Mutex
	counter := 0
	all.Add(tasks)
	m := start()
	for i := 0; i < tasks; i++ {
		go func() {
			for n := 0; n < each; n++ {
				lock.Lock()
				counter++
				if yielding {
					runtime.Gosched()
				}
				lock.Unlock()
			}
			all.Done()
		}()
	}
	all.Wait()
	if counter != tasks*each {
		panic("the lock did not lock")
	}
	return m.stop(counter)
}

func lock() outcome {
	count := number("count", 10_000_000)
	var lock sync.Mutex
	m := start()
	for i := 0; i < count; i++ {
		lock.Lock()
		sink++
		lock.Unlock()
	}
	return m.stop(count)
}

func sleeps() outcome {
	tasks := number("tasks", 100_000)
	random := random(42)
	durations := make([]time.Duration, tasks)
	longest := time.Duration(0)
	for i := range durations {
		durations[i] = time.Duration(random.below(1_000_000)) * time.Microsecond
		if durations[i] > longest {
			longest = durations[i]
		}
	}
	late := make([]float64, tasks)
	var all sync.WaitGroup
	all.Add(tasks)
	m := start()
	for i := range durations {
		i := i
		go func() {
			begun := time.Now()
			time.Sleep(durations[i])
			late[i] = float64(time.Since(begun)-durations[i]) / 1e6
			all.Done()
		}()
	}
	all.Wait()
	wall, cpu := time.Since(m.begun), cpuTime()-m.cpu
	sort.Float64s(late)
	at := func(part float64) float64 { return late[int(float64(tasks-1)*part)] }
	return outcome{
		"p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1),
		"total_ms": float64(wall-longest) / 1e6, "cpu_s": cpu.Seconds(), "peak_kib": kibibytes("VmHWM:"),
	}
}

func timer() outcome {
	count, waiting := number("count", 1_000_000), flag("wait")
	if waiting {
		go func() {
			for i := 0; i < count; i++ {
				runtime.Gosched()
			}
		}()
	}
	m := start()
	for i := 0; i < count; i++ {
		timer := time.NewTimer(limit)
		if waiting {
			runtime.Gosched()
		}
		timer.Stop()
	}
	return m.stop(count)
}

// Sockets

func listen() net.Listener {
	listener, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", number("port", 0)))
	check(err)
	fmt.Printf("{\"port\":%d}\n", listener.Addr().(*net.TCPAddr).Port)
	return listener
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func echo() outcome {
	listener := listen()
	for {
		stream, err := listener.Accept()
		check(err)
		go func() {
			defer stream.Close()
			buffer := make([]byte, 1024)
			for {
				length, err := stream.Read(buffer)
				if err != nil {
					return
				}
				if _, err := stream.Write(buffer[:length]); err != nil {
					return
				}
			}
		}()
	}
}

func hello() outcome {
	handler := func(writer http.ResponseWriter, _ *http.Request) {
		writer.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(writer, "Hello, World!")
	}
	check(http.Serve(listen(), http.HandlerFunc(handler)))
	return nil
}

func crawl() outcome {
	pages, atOnce, fresh := number("pages", 10_000), number("at-once", 100), flag("fresh")
	url := fmt.Sprintf("http://127.0.0.1:%d/page", number("port", 0))
	client := http.Client{Transport: &http.Transport{
		MaxIdleConns: atOnce, MaxIdleConnsPerHost: atOnce, DisableKeepAlives: fresh, DisableCompression: true,
	}}
	left, bytes := int64(pages), int64(0)
	var all sync.WaitGroup
	all.Add(atOnce)
	m := start()
	for i := 0; i < atOnce; i++ {
		go func() {
			defer all.Done()
			for atomic.AddInt64(&left, -1) >= 0 {
				response, err := client.Get(url)
				check(err)
				body, err := io.ReadAll(response.Body)
				check(err)
				response.Body.Close()
				atomic.AddInt64(&bytes, int64(len(body)))
			}
		}()
	}
	all.Wait()
	if bytes != int64(pages)*10240 {
		panic("pages were cut off")
	}
	wall, cpu := time.Since(m.begun), cpuTime()-m.cpu
	return outcome{
		"rate":     float64(pages) / wall.Seconds(),
		"cpu_us":   float64(cpu) / 1e3 / float64(pages),
		"peak_kib": kibibytes("VmHWM:"),
	}
}

// The same numbers as in every other program.
type random uint64

func (r *random) below(bound uint64) uint64 {
	return r.next() % bound
}

func (r *random) next() uint64 {
	*r = *r*6_364_136_223_846_793_005 + 1_442_695_040_888_963_407
	return uint64(*r >> 32)
}

func compute(steps int) uint64 {
	random, sum := random(42), uint64(0)
	for i := 0; i < steps; i++ {
		sum ^= random.next()
	}
	return sum
}
