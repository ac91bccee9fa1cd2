// Prints the seconds, in the program and in a goroutine after a sleep, and random bytes.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"
)

func main() {
	bytes := make([]byte, 16)
	fmt.Println("seconds program", time.Now().Unix())
	done := make(chan bool)
	go func() {
		time.Sleep(10 * time.Millisecond)
		fmt.Println("seconds goroutine", time.Now().Unix())
		done <- true
	}()
	<-done
	if _, err := rand.Read(bytes); err == nil {
		fmt.Println("bytes program", hex.EncodeToString(bytes))
	}
}
