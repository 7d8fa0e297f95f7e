// What is opened.
package main

import "strings"

// Run is what is looked up.
func Run(text string) string { return strings.ToUpper(text) }
