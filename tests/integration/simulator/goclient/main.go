// Command goclient runs go-routeros against a router and prints what it saw as JSON.
// Usage: goclient ADDRESS USER PASSWORD
// Before it sends commands side by side it says so, and waits for a line.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-routeros/routeros/v3"
)

const timeout = 60 * time.Second

type report struct {
	WrongLogin string            `json:"wrong_login"`
	Identity   map[string]string `json:"identity"`
	Added      string            `json:"added"`
	Row        map[string]string `json:"row"`
	Duplicate  string            `json:"duplicate"`
	Unknown    string            `json:"unknown"`
	Gone       string            `json:"gone"`
	Empty      int               `json:"empty"`
	BigWord    int               `json:"big_word"`
	Pipelined  int               `json:"pipelined"`
	Mixed      int               `json:"mixed"`
	Listened   []string          `json:"listened"`
	ListenEnd  string            `json:"listen_end"`
}

func deviceMessage(err error) string {
	var device *routeros.DeviceError
	if errors.As(err, &device) {
		return device.Sentence.Map["message"]
	}
	return fmt.Sprint("no device error: ", err)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// verbs tries add, print, set and remove, and the traps that belong to them.
func verbs(c *routeros.Client, r *report) {
	r.Identity = must(c.Run("/system/identity/print")).Re[0].Map
	r.Added = must(c.Run("/ip/hotspot/ip-binding/add", "=mac-address=aa:bb:cc:00:00:01", "=type=bypassed")).Done.Map["ret"]
	must(c.Run("/ip/hotspot/ip-binding/set", "=.id="+r.Added, "=comment=c"))
	r.Row = must(c.Run("/ip/hotspot/ip-binding/print", "?mac-address=AA:BB:CC:00:00:01", "=.proplist=.id,type,comment")).Re[0].Map
	_, err := c.Run("/ip/hotspot/ip-binding/add", "=mac-address=AA:BB:CC:00:00:01")
	r.Duplicate = deviceMessage(err)
	must(c.Run("/ip/hotspot/ip-binding/remove", "=.id="+r.Added))
	_, err = c.Run("/ip/hotspot/ip-binding/remove", "=.id="+r.Added)
	r.Gone = deviceMessage(err)
	r.Empty = len(must(c.Run("/ip/hotspot/ip-binding/print")).Re)
	big := strings.Repeat("x", 0x200001)
	must(c.Run("/ip/hotspot/ip-binding/add", "=address=10.0.0.1", "=comment="+big))
	r.BigWord = len(must(c.Run("/ip/hotspot/ip-binding/print", "=.proplist=comment")).Re[0].Map["comment"])
}

// pipeline sends many tagged commands at once and counts the answers that belong to their commands.
func pipeline(c *routeros.Client, r *report) {
	var group sync.WaitGroup
	var lock sync.Mutex
	for i := 0; i < 200; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			address := fmt.Sprintf("10.0.0.%d", i)
			_, err := c.Run("/ip/firewall/address-list/add", "=list=go", "=address="+address)
			if err != nil {
				return
			}
			reply, err := c.Run("/ip/firewall/address-list/print", "?address="+address)
			lock.Lock()
			defer lock.Unlock()
			r.Pipelined++
			if err != nil || len(reply.Re) != 1 || reply.Re[0].Map["address"] != address {
				r.Mixed++
			}
		}()
	}
	group.Wait()
}

// listen follows a menu over a removal and an addition, then cancels.
func listen(c *routeros.Client, r *report) {
	l := must(c.Listen("/ip/arp/listen", "=.proplist=.id,address,.dead"))
	must(c.Run("/system/identity/print")) // commands in flight together may overtake each other
	id := must(c.Run("/ip/arp/add", "=address=10.0.0.9", "=interface=bridge")).Done.Map["ret"]
	must(c.Run("/ip/arp/remove", "=.id="+id))
	for i := 0; i < 2; i++ {
		select {
		case sentence := <-l.Chan():
			r.Listened = append(r.Listened, sentence.Map["address"]+sentence.Map[".dead"])
		case <-time.After(timeout):
			log.Fatal("listen: nothing came")
		}
	}
	must(l.Cancel())
	for range l.Chan() {
	}
	r.ListenEnd = l.Done.Map["message"]
}

func main() {
	log.SetFlags(0)
	time.AfterFunc(timeout, func() { log.Fatal("not done in time") })
	address, user, password := os.Args[1], os.Args[2], os.Args[3]
	var r report
	_, err := routeros.DialTimeout(address, user, "wrong "+password, timeout)
	r.WrongLogin = deviceMessage(err)
	c := must(routeros.DialTimeout(address, user, password, timeout))
	defer c.Close()
	c.Queue = 100
	verbs(c, &r)
	other := must(routeros.DialTimeout(address, user, password, timeout))
	_, err = other.Run("/ip/nonsense/print")
	r.Unknown = deviceMessage(err)
	other.Close()
	fmt.Println("side by side")
	must(bufio.NewReader(os.Stdin).ReadString('\n'))
	c.Async()
	pipeline(c, &r)
	listen(c, &r)
	must(0, json.NewEncoder(os.Stdout).Encode(r))
}
