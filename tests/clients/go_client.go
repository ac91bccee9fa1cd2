// METHOD URL prints "status N" and the body; "resolve NAME..." prints "NAME ADDR..." lines.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

func main() {
	if os.Args[1] == "resolve" {
		for _, name := range os.Args[2:] {
			addresses, err := net.LookupHost(name)
			if err != nil {
				fmt.Println(name, "error")
			} else {
				fmt.Println(name, strings.Join(addresses, " "))
			}
		}
		return
	}
	request, err := http.NewRequest(os.Args[1], os.Args[2], nil)
	if err == nil {
		var answer *http.Response
		answer, err = http.DefaultClient.Do(request)
		if err == nil {
			body, _ := io.ReadAll(answer.Body)
			fmt.Printf("status %d\n%s\n", answer.StatusCode, body)
			return
		}
	}
	fmt.Println("error", err)
	os.Exit(1)
}
