package main

import (
	"net"
	"syscall"
	"time"
	"unsafe"
)

// Requests that are due after the end are not sent; those under way have this long to be answered.
const tail = time.Second

// client speaks one protocol over connections that never block.
type client interface {
	// lanes are how many requests may be under way.
	lanes() int
	descriptors() []int
	// send begins a request on a lane.
	send(lane int)
	// receive takes what came on a connection and tells of each lane that has its answer.
	receive(connection int, data []byte, done func(lane int, ok bool))
}

// run sends requests for a while and says how the answers came.
//
// With a rate of 0 every lane sends its next request when it has its answer.
func run(client client, duration time.Duration, rate float64) report {
	poll := newPoll(client.descriptors())
	idle := make([]int, 0, client.lanes())
	for lane := range client.lanes() {
		idle = append(idle, lane)
	}
	due := make([]time.Duration, client.lanes())
	latencies := make([]time.Duration, 0, 1<<21)
	began, errors, sent := time.Now(), 0, 0
	now := time.Duration(0)
	done := func(lane int, ok bool) {
		if !ok {
			errors++
		}
		latencies = append(latencies, now-due[lane])
		idle = append(idle, lane)
	}
	next := func() time.Duration {
		if rate == 0 {
			return now
		}
		return time.Duration(float64(sent) / rate * float64(time.Second))
	}
	answered := 0
	for {
		now = time.Since(began)
		for len(idle) > 0 && next() <= now && next() < duration {
			lane := idle[0]
			idle = append(idle[:0], idle[1:]...)
			due[lane] = next()
			sent++
			client.send(lane)
		}
		if now < duration {
			answered = len(latencies)
		} else if len(idle) == client.lanes() && (rate == 0 || next() >= duration) || now > duration+tail {
			break
		}
		poll.each(func(connection int, data []byte) {
			now = time.Since(began)
			client.receive(connection, data, done)
		})
	}
	result := summary(latencies, duration)
	result.Rate = float64(answered) / duration.Seconds()
	result.Errors = errors
	result.Waiting = client.lanes() - len(idle)
	if rate > 0 {
		result.Offered = rate
		result.Waiting = int(rate*duration.Seconds()) - len(latencies)
	}
	return result
}

type poll struct {
	descriptor  int
	connections []int
	events      []syscall.EpollEvent
	buffer      []byte
}

func newPoll(connections []int) *poll {
	descriptor, err := syscall.EpollCreate1(0)
	if err != nil {
		fail("epoll_create1: %v", err)
	}
	for index, connection := range connections {
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(index)}
		if err := syscall.EpollCtl(descriptor, syscall.EPOLL_CTL_ADD, connection, &event); err != nil {
			fail("epoll_ctl: %v", err)
		}
	}
	return &poll{descriptor, connections, make([]syscall.EpollEvent, 64), make([]byte, 256<<10)}
}

// each hands over what came on every connection; it does not wait.
func (p *poll) each(take func(connection int, data []byte)) {
	// Raw calls: these never block, so the Go scheduler need not hear of them.
	count, _, _ := syscall.RawSyscall6(syscall.SYS_EPOLL_WAIT, uintptr(p.descriptor),
		uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), 0, 0, 0)
	for index := range int(count) {
		connection := int(p.events[index].Fd)
		size, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(p.connections[connection]),
			uintptr(unsafe.Pointer(&p.buffer[0])), uintptr(len(p.buffer)))
		if errno == syscall.EAGAIN {
			continue
		}
		if errno != 0 || size == 0 {
			fail("the server closed a connection")
		}
		take(connection, p.buffer[:size])
	}
}

func write(descriptor int, data []byte) {
	size, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(descriptor),
		uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)))
	if errno != 0 || int(size) != len(data) {
		fail("a request of %d bytes could not be written whole: %v", len(data), errno)
	}
}

func dial(address string) int {
	connection, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		fail("%v", err)
	}
	file, err := connection.(*net.TCPConn).File()
	if err != nil {
		fail("%v", err)
	}
	descriptor := int(file.Fd())
	if err := syscall.SetNonblock(descriptor, true); err != nil {
		fail("%v", err)
	}
	files = append(files, file)
	return descriptor
}
